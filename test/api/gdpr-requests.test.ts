import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeId } from '../../src/kernel/ids.js'
import { asPerson, outcome } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { approve, createRequest, makeTrio, readRequest, reject, retry, type Trio } from '../harness/gdpr.js'

let world: World
let trio: Trio
beforeAll(async () => {
  world = await createWorld()
  trio = await makeTrio(world, world.acme)
})
afterAll(() => world.close())

const someone = (): string => `${randomUUID()}@people.example`
const asking = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  companyId: world.acme.gid,
  requestType: 'DELETE',
  actorEmail: someone(),
  ...more,
})
async function open(more: Record<string, unknown> = {}): Promise<string> {
  const answer = await createRequest(trio.requester, asking(more))
  expect(answer.errors).toBeUndefined()
  return answer.data.createGdprRequest.gdprRequest.id
}
async function adminActions(): Promise<string[]> {
  const { data } = await trio.staff.gql(`{ adminLog(companyId: "${world.acme.gid}", first: 500) { nodes { action } } }`)
  return data.adminLog.nodes.map((node: { action: string }) => node.action)
}

describe('a request', () => {
  it('is asked for, agreed to by the company, then by staff: three people', async () => {
    const created = await createRequest(
      trio.requester,
      asking({ actorEmail: ' Ana@Example.COM ', actorId: 'user-ana' }),
    )
    const request = created.data.createGdprRequest.gdprRequest
    expect(request).toMatchObject({
      status: 'CUSTOMER_PENDING',
      subject: 'a***@example.com, u***',
      requestedBy: { id: trio.requester.gid },
      company: { id: world.acme.gid },
      approvals: [],
      evidence: null,
      progress: { matchedEvents: 0, erasedEvents: 0 },
    })
    expect((await approve(trio.approver, request.id)).data.approveGdprRequest.gdprRequest.status).toBe(
      'CUSTOMER_APPROVED',
    )
    const approved = (await approve(trio.staff, request.id)).data.approveGdprRequest.gdprRequest
    expect(approved.status).toBe('ADMIN_APPROVED')
    expect(approved.approvals).toEqual([
      { approvalType: 'CUSTOMER_APPROVAL', approvedBy: { id: trio.approver.gid } },
      { approvalType: 'ADMIN_APPROVAL', approvedBy: { id: trio.staff.gid } },
    ])
    const actions = await adminActions()
    for (const action of ['created', 'customer_approved', 'admin_approved'])
      expect(actions).toContain(`gdpr_request.${action}`)
    const { data } = await trio.requester.gql(`{ node(id: "${request.id}") { id } }`)
    expect(data.node).toEqual({ id: request.id })
  })

  it('needs an identifier, in plain text', async () => {
    const answer = await createRequest(trio.requester, asking({ actorEmail: '  ', actorId: '' }))
    expect(outcome(answer)).toBe('BAD_USER_INPUT')
    for (const actorId of ['u\0', '\ud800'])
      expect(outcome(await createRequest(trio.requester, asking({ actorId })))).toBe('BAD_USER_INPUT')
  })

  it('for a subject that has an open one joins it, also when both come at once', async () => {
    const actorEmail = someone()
    const input = asking({ actorEmail })
    const [one, two] = await Promise.all([
      createRequest(trio.requester, input),
      createRequest(trio.approver, { ...input, actorEmail: actorEmail.toUpperCase() }),
    ])
    const id = one.data.createGdprRequest.gdprRequest.id
    expect(two.data.createGdprRequest.gdprRequest.id).toBe(id)
    expect(outcome(await createRequest(trio.requester, { ...input, requestType: 'ANONYMIZE' }))).toBe('CONFLICT')
    await reject(trio.staff, id)
    const next = await createRequest(trio.requester, { ...input, requestType: 'ANONYMIZE' })
    expect(next.data.createGdprRequest.gdprRequest.id).not.toBe(id)
  })

  it('is no business of an API key', async () => {
    const id = await open()
    const { acme } = world
    for (const key of [acme.key, acme.in.AU.key]) {
      const created = await world.gql(
        key,
        'mutation ($input: CreateGdprRequestInput!) { createGdprRequest(input: $input) { gdprRequest { id } } }',
        { input: asking() },
      )
      expect(outcome(created)).toBe('FORBIDDEN')
      for (const field of ['approveGdprRequest', 'retryGdprRequest'])
        expect(
          outcome(
            await world.gql(key, `mutation { ${field}(input: { gdprRequestId: "${id}" }) { gdprRequest { id } } }`),
          ),
        ).toBe('FORBIDDEN')
      expect(outcome(await world.gql(key, `{ gdprRequest(id: "${id}") { id } }`))).toBe('FORBIDDEN')
      expect(outcome(await world.gql(key, '{ gdprRequests { nodes { id } } }'))).toBe('FORBIDDEN')
      expect((await world.gql(key, `{ node(id: "${id}") { id } }`)).data.node).toBeNull()
    }
    expect((await readRequest(trio.staff, id)).status).toBe('CUSTOMER_PENDING')
  })

  it('of another company is not found', async () => {
    const id = await open()
    const stranger = await asPerson(world, { company: world.globex.id, role: 'OWNER' })
    expect(outcome(await approve(stranger, id))).toBe('NOT_FOUND')
    expect(outcome(await reject(stranger, id))).toBe('NOT_FOUND')
    expect(outcome(await createRequest(stranger, asking()))).toBe('NOT_FOUND')
    expect((await stranger.gql(`{ gdprRequest(id: "${id}") { id } }`)).data.gdprRequest).toBeNull()
    const listed = await stranger.gql('{ gdprRequests { totalCount nodes { id } } }')
    expect(listed.data.gdprRequests).toEqual({ totalCount: 0, nodes: [] })
    expect(outcome(await stranger.gql(`{ gdprPreview(gdprRequestId: "${id}") { regions { events } } }`))).toBe(
      'NOT_FOUND',
    )
  })

  it('is decided in order', async () => {
    const id = await open()
    expect(outcome(await approve(trio.staff, id))).toBe('INVALID_TRANSITION')
    await approve(trio.approver, id)
    const another = await asPerson(world, { company: world.acme.id, role: 'ADMIN' })
    expect(outcome(await approve(another, id))).toBe('INVALID_TRANSITION')
    expect(outcome(await retry(trio.staff, id))).toBe('INVALID_TRANSITION')
    await reject(trio.approver, id, 'asked for by mistake')
    const rejected = await readRequest(trio.staff, id)
    expect(rejected).toMatchObject({ status: 'REJECTED', failure: 'asked for by mistake' })
    expect(rejected.subject).toMatch(/^[0-9a-f]{32}$/)
    expect(outcome(await approve(trio.staff, id))).toBe('INVALID_TRANSITION')
    expect(outcome(await reject(trio.staff, id))).toBe('INVALID_TRANSITION')
  })

  it('is not approved by who asked for it, whatever they are', async () => {
    const id = await open()
    expect(outcome(await approve(trio.requester, id))).toBe('SELF_APPROVAL')
    expect((await readRequest(trio.staff, id)).status).toBe('CUSTOMER_PENDING')
  })

  it('approved by several at once is approved once', async () => {
    const id = await open()
    const others = await Promise.all(
      Array.from({ length: 4 }, () => asPerson(world, { company: world.acme.id, role: 'ADMIN' })),
    )
    const codes = (await Promise.all(others.map((person) => approve(person, id)))).map(outcome)
    expect(codes.toSorted()).toEqual(['INVALID_TRANSITION', 'INVALID_TRANSITION', 'INVALID_TRANSITION', 'OK'])
    expect((await readRequest(trio.staff, id)).approvals).toHaveLength(1)
    const staff = await Promise.all(Array.from({ length: 3 }, () => asPerson(world, { staffRole: 'PRIVACY_ADMIN' })))
    const admin = (await Promise.all(staff.map((person) => approve(person, id)))).map(outcome)
    expect(admin.toSorted()).toEqual(['INVALID_TRANSITION', 'INVALID_TRANSITION', 'OK'])
    expect((await readRequest(trio.staff, id)).approvals).toHaveLength(2)
  })

  it('is listed newest first, page by page, by status', async () => {
    const ids = [await open(), await open(), await open()]
    const query = `query ($after: String) { gdprRequests(companyId: "${world.acme.gid}", status: CUSTOMER_PENDING, first: 2, after: $after) {
      nodes { id status } pageInfo { endCursor hasNextPage } } }`
    const first = (await trio.staff.gql(query)).data.gdprRequests
    expect(first.nodes.map((node: { id: string }) => node.id)).toEqual([ids[2], ids[1]])
    const second = (await trio.staff.gql(query, { after: first.pageInfo.endCursor })).data.gdprRequests
    expect(second.nodes[0].id).toBe(ids[0])
    const mine = (await trio.requester.gql('{ gdprRequests(first: 1) { nodes { id } } }')).data.gdprRequests
    expect(mine.nodes).toEqual([{ id: ids[2] }])
  })

  it('tells how many events it would touch before anybody approves it', async () => {
    const { EU, US } = world.acme.in
    const actorEmail = someone()
    const event = (more: object) => ({ action: 'a.b', category: 'c', ...more })
    await world.record(EU, [
      event({ actor: { email: actorEmail.toUpperCase() } }),
      event({ target: { id: actorEmail } }),
      event({ actor: { email: someone() } }),
    ])
    await world.record(US, [event({ actor: { id: 'x', email: actorEmail } })])
    const id = await open({ actorEmail })
    const { data } = await trio.approver.gql(`{ gdprPreview(gdprRequestId: "${id}") { regions { region events } } }`)
    const counts = Object.fromEntries(
      data.gdprPreview.regions.map((one: { region: string; events: number }) => [one.region, one.events]),
    )
    expect(counts).toEqual({ AU: 0, US: 1, EU: 2, APAC: 0 })
  })
})

describe('a legal hold', () => {
  const hold = (input: Record<string, unknown>) =>
    trio.staff.gql('mutation ($input: SetLegalHoldInput!) { setLegalHold(input: $input) { scope active } }', {
      input: { companyId: world.acme.gid, active: true, reason: 'litigation', ...input },
    })

  it('on a subject refuses to ask and to approve for it, and for nobody else', async () => {
    const actorEmail = someone()
    const id = await open({ actorEmail })
    expect((await hold({ actorEmail })).data.setLegalHold).toEqual({ scope: 'SUBJECT', active: true })
    expect(outcome(await approve(trio.approver, id))).toBe('LEGAL_HOLD')
    expect(outcome(await createRequest(trio.requester, asking({ actorEmail, actorId: 'somebody' })))).toBe('LEGAL_HOLD')
    await open()
    await hold({ actorEmail, active: false })
    expect(outcome(await approve(trio.approver, id))).toBe('OK')
  })

  it('on the company refuses everything, until it is released; the admin log has both', async () => {
    const id = await open()
    await hold({})
    expect(outcome(await approve(trio.approver, id))).toBe('LEGAL_HOLD')
    expect(outcome(await createRequest(trio.requester, asking()))).toBe('LEGAL_HOLD')
    await hold({ active: false })
    expect(outcome(await approve(trio.approver, id))).toBe('OK')
    expect(await adminActions()).toEqual(expect.arrayContaining(['legal_hold.set', 'legal_hold.released']))
  })

  it('does not name anybody', async () => {
    expect(outcome(await hold({ reason: 'because of ana@example.com' }))).toBe('BAD_USER_INPUT')
  })

  it('wants a reason in plain text, as a refusal does', async () => {
    const { id } = (await createRequest(trio.requester, asking())).data.createGdprRequest.gdprRequest
    for (const reason of ['a\0b', '\ud800']) {
      expect(outcome(await hold({ reason }))).toBe('BAD_USER_INPUT')
      expect(outcome(await reject(trio.staff, id, reason))).toBe('BAD_USER_INPUT')
    }
    await reject(trio.staff, id)
  })
})

describe('a company with a single OWNER', () => {
  it('may do without four eyes, in the admin log; the admin approval stays with staff', async () => {
    const { globex } = world
    const owner = await asPerson(world, { company: globex.id, role: 'OWNER' })
    const others = await world.app.control.query<{ user_id: string }>(
      'select user_id from company_member where company_id = $1 and user_id <> $2',
      [globex.id, owner.id],
    )
    for (const { user_id: id } of others)
      await world.app.control.query('delete from company_member where company_id = $1 and user_id = $2', [
        globex.id,
        id,
      ])
    const setFourEyes = (required: boolean) =>
      owner.gql(`mutation { setFourEyes(input: { companyId: "${globex.gid}", required: ${required} }) { required } }`)
    const own = { companyId: globex.gid, requestType: 'DELETE' }
    const before = await createRequest(owner, { ...own, actorEmail: someone() })
    expect((await setFourEyes(false)).data.setFourEyes).toEqual({ required: false })
    // What was asked for under the old rule keeps it.
    expect(outcome(await approve(owner, before.data.createGdprRequest.gdprRequest.id))).toBe('SELF_APPROVAL')
    const made = await createRequest(owner, { ...own, actorEmail: someone() })
    const { id } = made.data.createGdprRequest.gdprRequest
    expect(outcome(await approve(owner, id))).toBe('OK')
    expect(outcome(await approve(owner, id))).toBe('INVALID_TRANSITION')
    expect(outcome(await approve(trio.staff, id))).toBe('OK')
    const { data } = await trio.staff.gql(`{ adminLog(companyId: "${globex.gid}", first: 100) { nodes { action } } }`)
    expect(data.adminLog.nodes).toContainEqual({ action: 'company.four_eyes_off' })
    await asPerson(world, { company: globex.id, role: 'OWNER' })
    expect(outcome(await setFourEyes(false))).toBe('CONFLICT')
  })
})

describe('the database, whatever the service believes', () => {
  const sql = async (text: string, values: unknown[]): Promise<string | undefined> => {
    const client = new Client({ connectionString: world.databases.control.databaseUrl })
    await client.connect()
    try {
      await client.query(text, values)
      return undefined
    } catch (error) {
      return (error as { code?: string }).code
    } finally {
      await client.end()
    }
  }
  const insert = `insert into gdpr_approval (request_id, approval_type, approved_by, requested_by, four_eyes, created_at)
    values ($1, $2, $3, $4, $5, now())`

  it('lets nobody approve its own request, nor one twice', async () => {
    const id = decodeId('gdprRequest', await open(), 'id')
    const { requester, approver, staff } = trio
    expect(await sql(insert, [id, 'CUSTOMER_APPROVAL', requester.id, requester.id, true])).toBe('23514')
    // Lying about who asked for it, or about the rule, does not help.
    expect(await sql(insert, [id, 'CUSTOMER_APPROVAL', requester.id, approver.id, true])).toBe('23503')
    expect(await sql(insert, [id, 'CUSTOMER_APPROVAL', requester.id, requester.id, false])).toBe('23503')
    expect(await sql(insert, [id, 'CUSTOMER_APPROVAL', approver.id, requester.id, true])).toBeUndefined()
    expect(await sql(insert, [id, 'CUSTOMER_APPROVAL', staff.id, requester.id, true])).toBe('23505')
    expect(await sql(insert, [id, 'ADMIN_APPROVAL', approver.id, requester.id, true])).toBe('23505')
    expect(await sql('update gdpr_approval set approved_by = $2 where request_id = $1', [id, staff.id])).toBe('42501')
    expect(await sql('delete from gdpr_approval where request_id = $1', [id])).toBe('42501')
  })

  it('keeps no identifier of an open request in clear', async () => {
    const actorEmail = someone()
    await open({ actorEmail, reason: `about ${actorEmail}` })
    const rows = await world.app.control.query<{ text: string }>('select r::text as text from gdpr_request r')
    const all = rows.map(({ text }) => text).join('\n')
    expect(all).not.toContain(actorEmail.split('@')[0])
    expect(all).not.toContain(Buffer.from(actorEmail).toString('hex'))
  })
})
