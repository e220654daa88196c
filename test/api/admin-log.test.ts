import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GLOBAL_CHAIN_ID } from '../../src/admin-log/admin-entry.js'
import type { JsonValue } from '../../src/kernel/canonical-json.js'
import { decodeId, encodeId, newUuid } from '../../src/kernel/ids.js'
import {
  bodyHash,
  CompactRange,
  disclosureDigest,
  linkHash,
  parseCheckpoint,
  verifyNote,
  ZERO_HASH,
} from '../../src/ledger/index.js'
import { readBody } from '../../src/ledger/body-rules.js'
import { asPerson, makePerson, outcome, signInMutation, type Person } from '../harness/actors.js'
import { createWorld, type GraphqlAnswer, type World } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { createRequest } from '../harness/gdpr.js'
import { buildSchema } from '../../src/server/build-schema.js'

let world: World
let staff: Person
beforeAll(async () => {
  world = await createWorld()
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
})
afterAll(() => world.close())

interface Entry {
  readonly id: string
  readonly action: string
  readonly actorId: string | null
  readonly targetId: string | null
  readonly payload: Record<string, unknown>
  readonly sequence: number
}
const query =
  'query ($id: ID, $first: Int, $after: String) { adminLog(companyId: $id, first: $first, after: $after) { totalCount nodes { id sequence action actorId targetId payload hash prevHash } pageInfo { hasNextPage endCursor } } }'
const entries = async (companyId: string | null): Promise<Entry[]> =>
  (await staff.gql(query, { id: companyId, first: 500 })).data.adminLog.nodes

/** Recomputes a chain from the rows, as a verifier of the ledger format would; answers how many events it has. */
async function verifyChain(chainId: string): Promise<number> {
  const rows = await world.app.control.query<{
    sequence: string
    term: number
    body: Buffer
    prev_hash: Buffer
    hash: Buffer
    disclosures: Buffer
  }>(
    'select sequence, term, body, prev_hash, hash, disclosures from admin_event where chain_id = $1 order by sequence',
    [chainId],
  )
  const range = CompactRange.empty()
  let prevHash = ZERO_HASH
  for (const [index, row] of rows.entries()) {
    const body = readBody(row.body.toString('utf8'))
    if (typeof body === 'string') throw new Error(body)
    const disclosed = JSON.parse(row.disclosures.toString('utf8')) as [string, JsonValue, string][]
    const digests = disclosed.map(([path, value, salt]) =>
      disclosureDigest({ path, value, salt: Buffer.from(salt, 'hex') }).toString('base64'),
    )
    const plain = JSON.parse(row.body.toString('utf8')) as { digests: string[] }
    expect(digests.toSorted()).toEqual(plain.digests.toSorted())
    expect(plain).toMatchObject({ region: 'CONTROL', workspace: chainId })
    expect(Number(row.sequence)).toBe(index + 1)
    expect(row.prev_hash).toEqual(prevHash)
    const link = { term: row.term, workspaceId: chainId, sequence: index + 1, prevHash, bodyHash: bodyHash(row.body) }
    expect(row.hash).toEqual(linkHash(link))
    range.append(row.hash)
    prevHash = row.hash
  }
  const [head] = await world.app.control.query<{ sequence: string; hash: Buffer; frontier: Buffer }>(
    'select sequence, hash, frontier from admin_chain where chain_id = $1',
    [chainId],
  )
  expect(head).toMatchObject({ sequence: String(rows.length), hash: prevHash, frontier: range.toBytes() })
  return rows.length
}

describe('the admin log', () => {
  it('has what administrators do, by whom and to what, and never a secret', async () => {
    const owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const made = await owner.gql(
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }',
      { input: { companyId: world.acme.gid, name: 'k', scope: 'COMPANY' } },
    )
    const { secret, apiKey } = made.data.createApiKey
    await owner.gql('mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { apiKey { id } } }', {
      input: { apiKeyId: apiKey.id, reason: 'leaked' },
    })
    await owner.gql('mutation { signOut { signedOut } }')
    const log = await entries(world.acme.gid)
    const mine = log.filter(({ actorId }) => actorId === owner.gid)
    expect(mine.map(({ action }) => action)).toEqual([
      'session.signed_out',
      'api_key.revoked',
      'api_key.created',
      'session.signed_in',
    ])
    expect(mine[1]).toMatchObject({ targetId: apiKey.id, payload: { reason: 'leaked' } })
    const text = JSON.stringify(log)
    for (const hidden of [secret, owner.password, owner.email]) expect(text).not.toContain(hidden)
  })

  it('verifies as chains of the ledger format, written by many at once', async () => {
    const owner = await asPerson(world, { company: world.globex.id, role: 'OWNER' })
    const before = await verifyChain(world.globex.id)
    const make = (n: number) =>
      owner.gql('mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { id } } }', {
        input: { workspaceId: world.globex.in.EU.gid, name: `P ${n}` },
      })
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => make(n)))
    expect(answers.map(outcome)).toEqual(answers.map(() => 'OK'))
    expect(await verifyChain(world.globex.id)).toBe(before + 12)
    expect(await verifyChain(GLOBAL_CHAIN_ID)).toBeGreaterThan(0)
  })

  it('is not written where the change fails', async () => {
    const owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const before = await verifyChain(world.acme.id)
    const answer = await owner.gql(
      'mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) { workspace { id } } }',
      {
        input: { companyId: world.acme.gid, name: 'x', slug: world.acme.in.AU.slug },
      },
    )
    expect(outcome(answer)).toBe('CONFLICT')
    expect(await verifyChain(world.acme.id)).toBe(before)
  })

  it('has each time staff read a company, and without what they looked for', async () => {
    const support = await asPerson(world, { staffRole: 'SUPPORT_ADMIN' })
    const read = await support.gql(
      'query ($id: ID) { globalEvents(companyId: $id, filter: { actorEmail: "subject@people.example" }) { nodes { id } } }',
      {
        id: world.acme.gid,
      },
    )
    expect(outcome(read)).toBe('OK')
    const mine = (await entries(world.acme.gid)).filter(({ actorId }) => actorId === support.gid)
    expect(mine.map(({ action, payload }) => ({ action, payload }))).toEqual([
      { action: 'staff.read', payload: { operation: 'globalEvents', staffRole: 'SUPPORT_ADMIN' } },
    ])
    expect(JSON.stringify(mine)).not.toContain('subject')
  })

  it('has every query by which staff can see what is a company’s', async () => {
    const { acme } = world
    const [eventId] = await world.record(acme.in.EU, [{ action: 'a', category: 'c' }])
    const asked = await world.gql(
      acme.in.EU.key,
      `mutation { requestExport(input: { workspaceId: "${acme.in.EU.gid}", format: NDJSON }) { export { id } } }`,
    )
    const exportId = asked.data.requestExport.export.id as string
    const requester = await asPerson(world, { company: acme.id, role: 'ADMIN' })
    const made = await createRequest(requester, { companyId: acme.gid, requestType: 'DELETE', actorId: 'somebody' })
    const request = made.data.createGdprRequest.gdprRequest.id as string
    const company = `companyId: "${acme.gid}"`
    const workspace = `workspaceId: "${acme.in.EU.gid}"`
    const readings = {
      event: `event(id: "${eventId!}") { id }`,
      node: `node(id: "${eventId!}") { id }`,
      workspaceEvents: `workspaceEvents(${workspace}) { nodes { id } }`,
      companyEvents: `companyEvents(${company}) { nodes { id } }`,
      globalEvents: `globalEvents(${company}) { nodes { id } }`,
      checkpoint: `checkpoint(${workspace}) { treeSize }`,
      inclusionProof: `inclusionProof(eventId: "${eventId!}", treeSize: 1) { leafIndex }`,
      consistencyProof: `consistencyProof(${workspace}, fromTreeSize: 1, toTreeSize: 1) { hashes }`,
      verifyChain: `verifyChain(${workspace}) { ok }`,
      export: `export(id: "${exportId}") { id }`,
      companyRegions: `companyRegions(${company}) { primary { region } }`,
      company: `company(id: "${acme.gid}") { id }`,
      workspace: `workspace(id: "${acme.in.EU.gid}") { id }`,
      apiKeys: `apiKeys(${company}) { id }`,
      members: `members(${company}) { role }`,
      invitations: `invitations(${company}) { id }`,
      adminLog: `adminLog(${company}) { totalCount }`,
      adminLogCheckpoint: `adminLogCheckpoint(${company}) { treeSize }`,
      adminLogVerification: `adminLogVerification(${company}) { ok }`,
      gdprRequest: `gdprRequest(id: "${request}") { id }`,
      gdprRequests: `gdprRequests { nodes { id } }`,
      archiveObjects: `archiveObjects(${workspace}) { totalCount }`,
      restoreEstimate: `restoreEstimate(${workspace}) { objects }`,
      gdprPreview: `gdprPreview(gdprRequestId: "${request}") { regions { events } }`,
    }
    // Dead letters are of whichever companies have some: see the tests of pending writes.
    const forAll = new Set(['viewer', 'jobs', 'regionHealth', 'deadLetters'])
    const queries = Object.keys(buildSchema().getQueryType()!.getFields()).filter((name) => !forAll.has(name))
    expect(Object.keys(readings).toSorted()).toEqual(queries.toSorted())
    const reader = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
    for (const [operation, reading] of Object.entries(readings)) {
      const answer = await reader.gql(`{ ${reading} }`)
      expect(answer.errors, operation).toBeUndefined()
      expect(answer.data[operation], operation).not.toBeNull()
    }
    const log = await entries(acme.gid)
    const read = log.filter(({ actorId, action }) => actorId === reader.gid && action === 'staff.read')
    // What is found by an event's id is a reading of the event.
    const expected = queries.map((name) => (['node', 'inclusionProof'].includes(name) ? 'event' : name))
    expect(read.map(({ payload }) => String(payload['operation'])).toSorted()).toEqual(expected.toSorted())
  })

  it('has failed sign-ins, in the chain of no company, with the account where there is one', async () => {
    const person = await makePerson(world, { company: world.acme.id, role: 'OWNER' })
    await person.gql(signInMutation, { input: { email: person.email, password: 'no' } })
    await person.gql(signInMutation, { input: { email: 'stranger@people.example', password: 'no' } })
    const failed = (await entries(null)).filter(({ action }) => action === 'session.sign_in_failed')
    expect(failed.slice(0, 2).map(({ targetId, payload }) => [targetId, payload['wrong']])).toEqual([
      [null, 'account'],
      [person.gid, 'password'],
    ])
    expect(JSON.stringify(failed)).not.toContain('stranger@')
  })

  it('is paged newest first, each entry once', async () => {
    const whole = await entries(world.acme.gid)
    const paged: Entry[] = []
    let after: string | null = null
    do {
      const answer: GraphqlAnswer = await staff.gql(query, { id: world.globex.gid, first: 5, after })
      const { nodes, pageInfo } = answer.data.adminLog as {
        nodes: Entry[]
        pageInfo: { hasNextPage: boolean; endCursor: string }
      }
      paged.push(...nodes)
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null
    } while (after !== null)
    const sequences = paged.map(({ sequence }) => sequence)
    expect(sequences).toEqual(sequences.toSorted((a, b) => b - a))
    expect(new Set(sequences).size).toBe(sequences.length)
    expect(sequences.at(-1)).toBe(1)
    const foreign = (await staff.gql(query, { id: world.globex.gid, first: 1 })).data.adminLog.pageInfo.endCursor
    expect(outcome(await staff.gql(query, { id: world.acme.gid, after: foreign }))).toBe('BAD_USER_INPUT')
    expect(whole.length).toBeGreaterThan(1)
  })

  it.each([
    'update admin_event set action = action',
    'delete from admin_event',
    'truncate admin_event',
    'update admin_chain set sequence = sequence - 1',
    'delete from admin_chain',
  ])('is append-only for the service and for the owner of the tables: %s', async (sql) => {
    await expect(world.app.control.query(sql)).rejects.toThrow('CONTROL')
    const client = new Client({ connectionString: world.databases.control.ownerUrl })
    await client.connect()
    await expect(client.query(sql)).rejects.toMatchObject({ code: 'HY001' })
    await client.end()
  })

  it('is for no company: NOT_FOUND for one that does not exist', async () => {
    expect(outcome(await staff.gql(query, { id: encodeId('company', newUuid()) }))).toBe('NOT_FOUND')
  })
})

describe('a checkpoint of the admin log', () => {
  const checkpointQuery = 'query ($id: ID) { adminLogCheckpoint(companyId: $id) { treeSize rootHash note } }'
  const verificationQuery =
    'query ($id: ID) { adminLogVerification(companyId: $id) { ok checkedEvents unsignedEvents headHash checkpoint { treeSize } firstBreak { sequence eventId reason } } }'
  const checkpointOf = async (id: string | null) => (await staff.gql(checkpointQuery, { id })).data.adminLogCheckpoint
  const verificationOf = async (id: string | null) => {
    const answer = await staff.gql(verificationQuery, { id })
    expect(answer.errors).toBeUndefined()
    return answer.data.adminLogVerification
  }
  const published = async () => {
    const response = await fetch(new URL('/.well-known/hyrelog-keys.json', world.url))
    const { keys } = (await response.json()) as { keys: { name: string; ed25519: string }[] }
    return keys.map(({ name, ed25519 }) => ({ name, publicKey: Buffer.from(ed25519, 'hex') }))
  }
  /** What only somebody with the owner's role, who turns the triggers off, could do. */
  const tamper = async (...statements: string[]): Promise<void> => {
    const client = new Client({ connectionString: world.databases.control.ownerUrl })
    await client.connect()
    try {
      for (const table of ['admin_event', 'admin_chain'])
        await client.query(`alter table ${table} disable trigger user`)
      for (const sql of statements) await client.query(sql)
      for (const table of ['admin_event', 'admin_chain']) await client.query(`alter table ${table} enable trigger user`)
    } finally {
      await client.end()
    }
  }
  const companyWithLog = async (): Promise<{ id: string; gid: string }> => {
    const made = await staff.gql('mutation { createCompany(input: { name: "Logged" }) { company { id } } }')
    const gid = made.data.createCompany.company.id as string
    const invite = 'mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { invitation { id } } }'
    for (const n of [1, 2, 3])
      await staff.gql(invite, { input: { companyId: gid, email: `n${n}@people.example`, role: 'VIEWER' } })
    return { id: decodeId('company', gid, 'id'), gid }
  }

  it('is signed by the published key of the control database, over the tree of the entries', async () => {
    const { id, gid } = await companyWithLog()
    const { treeSize, rootHash, note } = await checkpointOf(gid)
    const parsed = parseCheckpoint(note)!
    expect(parsed).toMatchObject({ origin: `test.local/ws/${id}`, treeSize })
    const keys = (await published()).filter(({ name }) => name === 'test.local/CONTROL')
    expect(keys).toHaveLength(1)
    expect(verifyNote(parsed.note, keys)).toEqual(keys[0])
    const hashes = (await staff.gql(query, { id: gid, first: 500 })).data.adminLog.nodes as { hash: string }[]
    const tree = CompactRange.empty()
    for (const { hash } of hashes.toReversed().slice(0, treeSize)) tree.append(Buffer.from(hash, 'hex'))
    expect(tree.root().toString('hex')).toBe(rootHash)
  })

  it('is what the entries are verified against, and each reading is an entry', async () => {
    const { gid } = await companyWithLog()
    const first = await verificationOf(gid)
    expect(first).toMatchObject({ ok: true, firstBreak: null, unsignedEvents: 0 })
    expect(first.checkpoint.treeSize).toBe(first.checkedEvents)
    expect((await verificationOf(gid)).checkedEvents).toBe(first.checkedEvents + 1)
    expect(await verificationOf(null)).toMatchObject({ ok: true })
    expect((await entries(gid)).slice(0, 2).map(({ payload }) => payload['operation'])).toEqual([
      'adminLog',
      'adminLogVerification',
    ])
  })

  it('is made of every chain by the job', async () => {
    const { id } = await companyWithLog()
    await staff.gql('mutation { runJob(input: { name: "sign-admin-log" }) { run { id } } }')
    const signed = () => world.app.control.query('select from admin_checkpoint where chain_id = $1', [id])
    await eventually('it is signed', async () => (await signed()).length === 1)
    expect(await signed()).toHaveLength(1)
  })

  it.each([
    [
      'a value',
      `update admin_event set disclosures = convert_to(replace(convert_from(disclosures, 'UTF8'), 'VIEWER', 'OWNERS'), 'UTF8') where chain_id = $id and sequence = 2`,
      'COMMITMENT_MISMATCH',
      2,
    ],
    [
      'a column',
      `update admin_event set action = 'nothing.done' where chain_id = $id and sequence = 3`,
      'HASH_MISMATCH',
      3,
    ],
    ['an entry', `delete from admin_event where chain_id = $id and sequence = 2`, 'MISSING_EVENT', 2],
  ])('finds %s that was changed', async (_, sql, reason, sequence) => {
    const { id, gid } = await companyWithLog()
    expect(await verificationOf(gid)).toMatchObject({ ok: true })
    await tamper(sql.replaceAll('$id', `'${id}'`))
    expect(await verificationOf(gid)).toMatchObject({ ok: false, firstBreak: { reason, sequence } })
  })

  it('finds a chain that was set back, and signs no second history of it', async () => {
    const { id, gid } = await companyWithLog()
    const before = await world.app.control.query<{ sequence: string; hash: Buffer; frontier: Buffer }>(
      'select sequence, hash, frontier from admin_chain where chain_id = $1',
      [id],
    )
    const signed = await checkpointOf(gid)
    await checkpointOf(gid)
    const { sequence, hash, frontier } = before[0]!
    await tamper(
      `delete from admin_event where chain_id = '${id}' and sequence > ${sequence}`,
      `update admin_chain set sequence = ${sequence}, hash = '\\x${hash.toString('hex')}', frontier = '\\x${frontier.toString('hex')}' where chain_id = '${id}'`,
    )
    // The entries of these readings are others than those that were signed, at the same places.
    for (let i = 0; i < 3; i++) await entries(gid)
    const kept = await checkpointOf(gid)
    expect(kept.treeSize).toBe(signed.treeSize + 1)
    expect(await verificationOf(gid)).toMatchObject({ ok: false, firstBreak: { reason: 'CHECKPOINT_MISMATCH' } })
  })
})
