import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { regions } from '../../src/kernel/region.js'
import { tendReplicas } from '../../src/replication/replicate-region.js'
import { equalityTag } from '../../src/sealing/tags.js'
import { asPerson, outcome, type Person } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest, type Trio } from '../harness/gdpr.js'
import { copied, replicaOf, rowsOf, setReplicas } from '../harness/replicas.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

/*
 * Acme replicates AU to EU. What is erased at home is erased in the copy before the request is done.
 */

let world: World
let trio: Trio
let staff: Person
let au: TcpProxy
let eu: TcpProxy
beforeAll(async () => {
  const plain = await createWorld()
  const { databaseUrl } = plain.databases.control
  ;[au, eu] = await Promise.all([TcpProxy.before(databaseUrl), TcpProxy.before(databaseUrl)])
  await plain.close()
  world = await createWorld({
    regionUrl: (region, url) => (region === 'AU' ? au.urlFor(url) : region === 'EU' ? eu.urlFor(url) : url),
  })
  trio = await makeTrio(world, world.acme)
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
  await setReplicas(staff, world.acme, ['EU'])
})
afterAll(async () => {
  await world.close()
  await Promise.all([au.close(), eu.close()])
})

let subject: { id: string; email: string }
beforeEach(() => {
  const word = randomUUID().slice(0, 8)
  subject = { id: `subject-${word}`, email: `Zoe.${word}@People.Example` }
})

const never = new AbortController().signal
const run = (): Promise<number> => eraseRequests(world.app.erasure, never)
const asking = (requestType: 'DELETE' | 'ANONYMIZE') => ({
  companyId: world.acme.gid,
  requestType,
  actorId: subject.id,
  actorEmail: subject.email,
})

/** Events by the subject, about it, and that mention it; waits until they are copied and indexed. */
async function recordAll(): Promise<string[]> {
  const { AU } = world.acme.in
  const ids = await world.record(AU, [
    { action: 'own', category: 'docs', actor: subject, payload: { title: 'Report' } },
    { action: 'target', category: 'docs', actor: { id: 'boss' }, target: { id: subject.id }, payload: { kept: true } },
    { action: 'mention', category: 'docs', actor: { id: 'boss' }, payload: { to: subject.email, other: 1 } },
    { action: 'stranger', category: 'docs', actor: { id: 'stranger' }, payload: { title: 'Other' } },
  ])
  const [head] = await rowsOf<{ n: number }>(
    world,
    'AU',
    `select sequence::int as n from chain_head where workspace_id = '${AU.id}'`,
  )
  await copied(world, 'EU', AU.id, head!.n)
  await eventually('the index', async () =>
    (await Promise.all(regions.map((region) => world.app.indexer.pendingOf(region)))).every((count) => count === 0),
  )
  return ids
}
const columns =
  'sequence, body, identity_blob, content_blob, actor_id_tag, actor_email_tag, target_id_tag, erased_at, actor_pseudonym'
const rows = (where: 'home' | 'replica') =>
  rowsOf<Record<string, unknown>>(
    world,
    where === 'home' ? 'AU' : 'EU',
    `select ${columns} from ${where === 'home' ? 'event' : 'replica.event'} where workspace_id = '${world.acme.in.AU.id}' order by sequence`,
  )
const replicaKeys = async (): Promise<Set<string>> =>
  new Set(
    (await rowsOf<{ id: string }>(world, 'EU', 'select id from subject_key where replica_of is not null')).map(
      ({ id }) => id,
    ),
  )
/** How many rows of the replica are found by the subject's tags. */
async function taggedInReplica(): Promise<number> {
  const key = await world.app.facts.tagKey(world.acme.id)
  const tags = [
    equalityTag(key, 'actor.id', subject.id),
    equalityTag(key, 'actor.email', subject.email),
    equalityTag(key, 'target.id', subject.id),
  ]
  const found = await rowsOf(
    world,
    'EU',
    'select 1 from replica.event where actor_id_tag = any ($1) or actor_email_tag = any ($1) or target_id_tag = any ($1)',
    [tags],
  )
  return found.length
}

describe.each(['DELETE', 'ANONYMIZE'] as const)('%s', (mode) => {
  it('reaches the replica: rows, tags, tombstones and keys, with evidence', async () => {
    const ids = await recordAll()
    expect(await taggedInReplica()).toBe(2)
    const keysBefore = await replicaKeys()
    const id = await approvedRequest(trio, asking(mode))
    expect(await run()).toBe(1)
    const request = await readRequest(trio.staff, id)
    expect(request.status).toBe('DONE')
    expect(request.evidence).toEqual(
      expect.arrayContaining([
        { region: 'EU', store: 'replica events', records: 3 },
        { region: 'EU', store: 'replica subject keys', records: expect.any(Number) },
      ]),
    )
    const ofKeys = request.evidence.find((one: { store: string }) => one.store === 'replica subject keys')
    expect(ofKeys.records).toBeGreaterThan(0)
    // Not later: DONE means that it is done.
    expect(await rows('replica')).toEqual(await rows('home'))
    expect(await taggedInReplica()).toBe(0)
    const keysAfter = await replicaKeys()
    const atHome = new Set(
      (await rowsOf<{ id: string }>(world, 'AU', 'select id from subject_key')).map((one) => one.id),
    )
    expect([...keysAfter].filter((key) => !atHome.has(key))).toEqual([])
    expect([...keysBefore].filter((key) => !keysAfter.has(key)).length).toBeGreaterThan(0)

    // And the replica, asked for it, shows as much as home would.
    await au.set('refuse')
    world.app.subjectKeys.forget('AU')
    world.app.subjectKeys.forget('EU')
    try {
      const { data, errors } = await world.gql(
        world.acme.key,
        `{ ${ids.map((one, index) => `e${index}: event(id: "${one}") { servedBy erasedAt actor { id } target { id } payload }`).join('\n')}
           verifyChain(workspaceId: "${world.acme.in.AU.gid}") { ok servedBy firstBreak { sequence reason } } }`,
      )
      expect(errors).toBeUndefined()
      expect(data.e0).toMatchObject({ servedBy: 'EU', erasedAt: expect.any(String) })
      expect(JSON.stringify(data)).not.toContain(subject.id)
      expect(JSON.stringify(data).toLowerCase()).not.toContain(subject.email.toLowerCase())
      expect(data.e1).toMatchObject({ target: null, payload: { kept: true } })
      expect(data.e2).toMatchObject({ payload: { other: 1 } })
      expect(data.e3).toMatchObject({ erasedAt: null, actor: { id: 'stranger' }, payload: { title: 'Other' } })
      expect(data.verifyChain).toEqual({ ok: true, servedBy: 'EU', firstBreak: null })
    } finally {
      await au.set('pass')
      await eventually(
        'AU is back',
        async () =>
          outcome(await world.gql(world.acme.in.AU.key, '{ workspaceEvents { region { status } } }')) === 'OK' &&
          (await world.gql(world.acme.in.AU.key, '{ workspaceEvents { region { status } } }')).data.workspaceEvents
            .region.status === 'OK',
      )
    }
    // Nothing of that looks like tampering.
    await tendReplicas(world.app.replication, 'EU', never)
    expect(await replicaOf(world, 'EU', world.acme.in.AU.id)).toMatchObject({ state: 'COPYING' })
  })
})

describe('a request', () => {
  it('is not done while a replica is down, nor is that replica read before it has followed', async () => {
    const ids = await recordAll()
    await eu.set('refuse')
    const id = await approvedRequest(trio, asking('DELETE'))
    expect(await run()).toBe(0)
    expect((await readRequest(trio.staff, id)).status).toBe('PROCESSING')
    expect(await taggedInReplica()).toBe(2)
    // Home goes away with the erasure not copied yet, and the replica comes back with everything still in it.
    await au.set('refuse')
    await eu.set('pass')
    await eventually('EU answers again', async () => {
      // Of Acme's own it shows nothing yet.
      const { data } = await world.gql(world.globex.key, '{ globalEvents(regions: [EU]) { regions { status } } }')
      return data.globalEvents.regions[0].status === 'OK'
    })
    const answer = await world.gql(world.acme.key, `{ event(id: "${ids[0]}") { actor { id } } }`)
    expect(outcome(answer)).toBe('REGION_UNAVAILABLE')
    expect(JSON.stringify(answer)).not.toContain(subject.id)
    await au.set('pass')
    await eventually('it is done', async () => (await run()) === 1)
    await eventually('all is well again', async () => {
      const page = await world.gql(world.acme.key, '{ globalEvents { regions { status } } }')
      return page.data.globalEvents.regions.every(({ status }: { status: string }) => status === 'OK')
    })
    expect((await readRequest(trio.staff, id)).status).toBe('DONE')
    expect(await taggedInReplica()).toBe(0)
  })

  it('waits for a replica that was stopped, until it is rebuilt', async () => {
    await recordAll()
    const { AU } = world.acme.in
    await rowsOf(
      world,
      'EU',
      `update replica.chain_head set state = 'STOPPED', stopped_reason = 'ROWS_MISMATCH' where workspace_id = '${AU.id}'`,
    )
    const id = await approvedRequest(trio, asking('DELETE'))
    expect(await run()).toBe(0)
    expect((await readRequest(trio.staff, id)).status).toBe('PROCESSING')
    const answer = await staff.gql(
      `mutation { resyncReplica(input: { workspaceId: "${AU.gid}", region: EU }) { region } }`,
    )
    expect(answer.errors).toBeUndefined()
    await eventually('it is done', async () => (await run()) === 1)
    expect((await readRequest(trio.staff, id)).status).toBe('DONE')
    expect(await taggedInReplica()).toBe(0)
  })

  it('is not done before a replica that is no longer wanted is gone', async () => {
    await recordAll()
    await eu.set('refuse')
    await world.app.control.query(`update company set replicate_to = '{}' where id = $1`, [world.acme.id])
    const id = await approvedRequest(trio, asking('DELETE'))
    expect(await run()).toBe(0)
    expect((await readRequest(trio.staff, id)).status).toBe('PROCESSING')
    await eu.set('pass')
    await eventually('it is done', async () => (await run()) === 1)
    expect(await replicaOf(world, 'EU', world.acme.in.AU.id)).toBeNull()
    expect(await replicaKeys()).toEqual(new Set())
  })
})
