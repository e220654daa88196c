import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { outcome } from '../harness/actors.js'
import { createWorld, type GraphqlAnswer, sendGraphql, type World, type WorldCompany } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { download, request as requestExport, settled } from '../harness/exports.js'
import {
  approvedRequest,
  isRead,
  makeTrio,
  readRequest,
  reject,
  showEvent,
  type Trio,
  verifyChain,
} from '../harness/gdpr.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

/*
 * EU is down when somebody of Acme's is to be erased. It comes back with everything still in it.
 */

let world: World
let trio: Trio
let eu: TcpProxy
beforeAll(async () => {
  const plain = await createWorld()
  eu = await TcpProxy.before(plain.databases.control.databaseUrl)
  await plain.close()
  world = await createWorld({ regionUrl: (region, url) => (region === 'EU' ? eu.urlFor(url) : url) })
  trio = await makeTrio(world, world.acme)
})
afterAll(async () => {
  await world.close()
  await eu.close()
})

let email: string
beforeEach(() => {
  email = `zoe.${randomUUID().slice(0, 8)}@people.example`
})

const never = new AbortController().signal
const event = (actor: Record<string, unknown>) => ({ action: 'doc.read', category: 'docs', actor })
const page = `{ complete nodes { id actor { email } } regions { region status reason servedBy } }`
const search = (company: WorldCompany, url = world.url): Promise<GraphqlAnswer> =>
  sendGraphql(url, company.key, `{ globalEvents(regions: [EU]) ${page} }`)
const statusOf = ({ data }: GraphqlAnswer) => data.globalEvents.regions[0]

/** Leaves EU back up, with a request that could not be carried out there. */
async function owing(): Promise<{ request: string; event: string }> {
  const [elsewhere] = await world.record(world.acme.in.US, [event({ email })])
  const [own] = await world.record(world.acme.in.EU, [event({ email })])
  await world.record(world.globex.in.EU, [event({ id: 'someone' })])
  await eu.set('refuse')
  const request = await approvedRequest(trio, {
    companyId: world.acme.gid,
    requestType: 'DELETE',
    actorEmail: email,
  })
  expect(await eraseRequests(world.app.erasure, never)).toBe(0)
  expect(await readRequest(trio.staff, request)).toMatchObject({ status: 'PROCESSING', evidence: null })
  // It keeps nothing from being erased elsewhere.
  expect(await showEvent(world, elsewhere!)).toMatchObject({ actor: null, erasedAt: expect.any(String) })
  await eu.set('pass')
  await eventually('EU answers others', async () => statusOf(await search(world.globex)).status === 'OK')
  return { request, event: own! }
}

it('a region that was down is not read before it has erased, for that company alone', async () => {
  const { request, event: own } = await owing()
  const answers = {
    search: await search(world.acme),
    event: await world.gql(world.acme.key, `{ event(id: "${own}") { actor { email } } }`),
    workspace: await world.gql(world.acme.in.EU.key, `{ workspaceEvents ${page.replace('regions', 'region')} }`),
  }
  expect(answers.search.data.globalEvents).toMatchObject({ complete: false, nodes: [] })
  expect(statusOf(answers.search)).toEqual({
    region: 'EU',
    status: 'UNAVAILABLE',
    reason: 'erasure_pending',
    servedBy: null,
  })
  expect(outcome(answers.event)).toBe('REGION_UNAVAILABLE')
  expect(JSON.stringify(answers)).not.toContain(email)
  // Nor is it exported; what was asked for meanwhile is written afterwards.
  const { id } = await requestExport(world, world.acme.in.EU)
  await eventually('the export to have been put off', async () => {
    const [job] = await world.app.control.query<{ failures: number }>(
      'select max(failures) as failures from export_job',
    )
    return job!.failures === 1
  })
  // Other regions, and the people of others, are none of this.
  const elsewhere = await world.gql(world.acme.key, '{ globalEvents(regions: [AU, US]) { complete } }')
  expect(elsewhere.data.globalEvents.complete).toBe(true)
  expect(statusOf(await search(world.globex))).toMatchObject({ status: 'OK', servedBy: 'EU' })

  expect(await eraseRequests(world.app.erasure, never)).toBe(1)
  expect(await readRequest(trio.staff, request)).toMatchObject({ status: 'DONE', progress: { erasedEvents: 2 } })
  await isRead(world)
  const { nodes } = (await search(world.acme)).data.globalEvents
  expect(nodes).toContainEqual({ id: own, actor: null })
  const { downloadUrl } = await settled(world, world.acme.in.EU.key, id)
  const text = await (await download(world, downloadUrl!)).text()
  expect(text).toContain('"mode\\":\\"DELETE')
  expect(text).not.toContain(email)
  expect(await verifyChain(world, world.acme.in.EU)).toMatchObject({ ok: true, firstBreak: null })
})

it('a process that starts meanwhile reads nothing either, and sees to the erasure by itself', async () => {
  const { request } = await owing()
  const late = await world.another()
  try {
    expect(statusOf(await search(world.acme, late.url))).toMatchObject({ reason: 'erasure_pending' })
    expect(statusOf(await search(world.globex, late.url))).toMatchObject({ status: 'OK' })
    const eager = await world.another({ erasesOwed: true })
    try {
      await eventually('it is done', async () => (await readRequest(trio.staff, request)).status === 'DONE')
    } finally {
      await eager.app.close()
    }
    await eventually('EU to be read', async () => statusOf(await search(world.acme, late.url)).status === 'OK')
    expect(JSON.stringify((await search(world.acme, late.url)).data)).not.toContain(email)
  } finally {
    await late.app.close()
  }
})

it('what is held is owed by nobody', async () => {
  const { request } = await owing()
  const held = await trio.staff.gql(
    'mutation ($input: SetLegalHoldInput!) { setLegalHold(input: $input) { active } }',
    { input: { companyId: world.acme.gid, actorEmail: email, active: true, reason: 'litigation' } },
  )
  expect(held.errors).toBeUndefined()
  expect(await eraseRequests(world.app.erasure, never)).toBe(0)
  await eventually('EU to be read', async () => statusOf(await search(world.acme)).status === 'OK')
  expect(JSON.stringify((await search(world.acme)).data)).toContain(email)
  expect((await readRequest(trio.staff, request)).status).toBe('PROCESSING')
})

it('nor is it read where it alone knew whom the request is about', async () => {
  const own = await makeTrio(world, world.globex)
  await world.record(world.globex.in.EU, [event({ email })])
  const ask = () => approvedRequest(own, { companyId: world.globex.gid, requestType: 'DELETE', actorEmail: email })
  const isBack = () => eventually('EU answers others', async () => statusOf(await search(world.acme)).status === 'OK')
  const refused = await ask()
  await eu.set('refuse')
  expect(await eraseRequests(world.app.erasure, never)).toBe(0)
  expect((await readRequest(own.staff, refused)).status).toBe('ADMIN_APPROVED')
  await eu.set('pass')
  await isBack()
  expect(statusOf(await search(world.globex))).toMatchObject({ status: 'UNAVAILABLE', reason: 'erasure_pending' })
  // Whoever refuses the request has it read again.
  expect((await reject(own.staff, refused)).errors).toBeUndefined()
  await eraseRequests(world.app.erasure, never)
  await eventually('EU to be read', async () => statusOf(await search(world.globex)).status === 'OK')
  expect(JSON.stringify((await search(world.globex)).data)).toContain(email)

  const carriedOut = await ask()
  await eu.set('refuse')
  expect(await eraseRequests(world.app.erasure, never)).toBe(0)
  await eu.set('pass')
  await isBack()
  expect(statusOf(await search(world.globex))).toMatchObject({ reason: 'erasure_pending' })
  expect(await eraseRequests(world.app.erasure, never)).toBe(1)
  expect((await readRequest(own.staff, carriedOut)).status).toBe('DONE')
  await eventually('EU to be read', async () => statusOf(await search(world.globex)).status === 'OK')
  expect(JSON.stringify((await search(world.globex)).data)).not.toContain(email)
})
