import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GLOBAL_CHAIN_ID } from '../../src/admin-log/admin-entry.js'
import type { JsonValue } from '../../src/kernel/canonical-json.js'
import { encodeId, newUuid } from '../../src/kernel/ids.js'
import { bodyHash, CompactRange, disclosureDigest, linkHash, ZERO_HASH } from '../../src/ledger/index.js'
import { readBody } from '../../src/ledger/body-rules.js'
import { asPerson, makePerson, outcome, signInMutation, type Person } from '../harness/actors.js'
import { createWorld, type GraphqlAnswer, type World } from '../harness/app.js'

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
