import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { encodeId } from '../../src/kernel/ids.js'
import type { Region } from '../../src/kernel/region.js'
import { tendReplicas } from '../../src/replication/replicate-region.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { asPerson, outcome, type Person } from '../harness/actors.js'
import { archiveNow, DAY_MS } from '../harness/archive.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest, verifyChain } from '../harness/gdpr.js'
import { createOutageWorld, heal, type OutageWorld } from '../harness/outage.js'
import { copied, countRows, replicaOf, rowsOf, setReplicas } from '../harness/replicas.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'

/*
 * What archives take from a region they take from its replicas too.
 */

let world: OutageWorld
let clock: SettableClock
let staff: Person
const ids: string[] = []
const events = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    action: 'doc.read',
    category: 'docs',
    actor: { id: `u-${n % 3}` },
    payload: { n },
  }))

beforeAll(async () => {
  clock = settableClock(new Date('2025-03-10T08:00:00.000Z'))
  world = await createOutageWorld({ clock })
  const { EU } = world.acme.in
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
  await setReplicas(staff, world.acme, ['US'])
  ids.push(...(await world.record(EU, events(300))))
  clock.advance(380 * DAY_MS)
  ids.push(...(await world.record(EU, events(12))))
  await copied(world, 'US', EU.id, 312)
  // Its session is over by now.
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
})
afterAll(() => world.close())

const tend = (region: Region) => tendReplicas(world.app.replication, region, new AbortController().signal)
const rowsIn = (region: Region) => countRows(world, region, 'replica.event', [world.acme.in.EU.id])
const eventById = (id: string) => world.gql(world.acme.key, `{ event(id: "${id}") { sequence dataRegion } }`)

describe('a replica of a chain whose home archives', () => {
  it('keeps what is archived until it is, and lets go of it then', async () => {
    await tend('US')
    expect(await rowsIn('US')).toBe(312)
    expect(await archiveNow(world, 'EU')).toBe(300)
    await tend('US')
    expect(await rowsIn('US')).toBe(12)
    expect(await replicaOf(world, 'US', world.acme.in.EU.id)).toMatchObject({ state: 'COPYING', dropped: 300 })
  })

  it('goes on with the chain, and is compared with it', async () => {
    const { EU } = world.acme.in
    ids.push(...(await world.record(EU, events(3))))
    await copied(world, 'US', EU.id, 315)
    await tend('US')
    expect(await rowsIn('US')).toBe(15)
  })

  it('is filled from the beginning over what is archived already, in the tree alone', async () => {
    const { EU } = world.acme.in
    await setReplicas(staff, world.acme, ['US', 'APAC'])
    await copied(world, 'APAC', EU.id, 315)
    expect(await rowsIn('APAC')).toBe(15)
    const [us, apac] = await Promise.all((['US', 'APAC'] as const).map((region) => replicaOf(world, region, EU.id)))
    expect(apac).toMatchObject({ state: 'COPYING', stopped_reason: null, dropped: 300 })
    // The roots of its tree are those of the replica that has seen every event.
    expect(apac!.frontier).toEqual(us!.frontier)
    expect(await countRows(world, 'APAC', 'replica.merkle_node', [EU.id])).toBe(1)
  })

  it('answers for what it has while home is down, and for nothing that only archives have', async () => {
    const { EU } = world.acme.in
    await world.eu.set('refuse')
    const page = await world.gql(
      world.acme.key,
      `{ globalEvents(regions: [EU]) { complete nodes { id } regions { region status servedBy } } }`,
    )
    expect(page.data.globalEvents.regions).toEqual([{ region: 'EU', status: 'SERVED_BY_REPLICA', servedBy: 'US' }])
    expect(page.data.globalEvents.nodes).toHaveLength(15)
    const reaching = await world.gql(
      world.acme.key,
      `{ globalEvents(regions: [EU], filter: { includeArchived: true }) { complete nodes { id } regions { status } } }`,
    )
    expect(reaching.data.globalEvents).toEqual({ complete: false, nodes: [], regions: [{ status: 'UNAVAILABLE' }] })
    expect((await eventById(ids[305]!)).data.event).toEqual({ sequence: 306, dataRegion: 'EU' })
    expect(outcome(await eventById(ids[5]!))).toBe('REGION_UNAVAILABLE')
    const verdict = await world.gql(world.acme.key, `query ($id: ID!) { verifyChain(workspaceId: $id) { ok } }`, {
      id: EU.gid,
    })
    expect(outcome(verdict)).toBe('REGION_UNAVAILABLE')
    await heal(world)
    await eventually('home to answer for itself', async () => {
      const { data } = await world.gql(world.acme.key, '{ globalEvents(regions: [EU]) { regions { status } } }')
      return data.globalEvents.regions[0].status === 'OK'
    })
    expect((await eventById(ids[5]!)).data.event).toEqual({ sequence: 6, dataRegion: 'EU' })
    expect(await verifyChain(world, EU)).toMatchObject({ ok: true })
  })
})

it('an erasure of events that home has archived already leaves a gap in the replica, and no break of the chain', async () => {
  const { control } = world.app
  const { id: companyId } = world.acme
  const made = await createWorkspace({ control, clock }, { companyId, name: 'Gap', dataRegion: 'EU' })
  const { key } = await world.makeKey({ companyId, workspaceId: made.id, name: 'k', scope: 'WORKSPACE' })
  const chain = { ...world.acme.in.EU, ...made, gid: encodeId('workspace', made.id), key }
  const event = (actor: string) => ({ action: 'doc.read', category: 'docs', actor: { id: actor }, payload: { actor } })
  await world.record(chain, ['other', 'subject-gap', 'other'].map(event))
  clock.advance(380 * DAY_MS)
  await world.record(chain, [event('other')])
  await copied(world, 'US', chain.id, 4)
  expect(await archiveNow(world, 'EU')).toBeGreaterThanOrEqual(3)
  const trio = await makeTrio(world, world.acme)
  const request = { companyId: world.acme.gid, requestType: 'DELETE', actorId: 'subject-gap' }
  const id = await approvedRequest(trio, request)
  await eventually('the request to be done', async () => {
    await eraseRequests(world.app.erasure, new AbortController().signal)
    return (await readRequest(trio.staff, id)).status === 'DONE'
  })
  const stored = await rowsOf<{ sequence: number }>(
    world,
    'US',
    `select sequence::integer from replica.event where workspace_id = '${chain.id}' order by sequence`,
  )
  // The control: what the erasure took is gone, what the nightly run would take is there yet.
  expect(stored.map(({ sequence }) => sequence)).toEqual([1, 3, 4, 5])
  await world.eu.set('refuse')
  const ask = `query ($id: ID!) { verifyChain(workspaceId: $id) { ok firstBreak { sequence reason } } }`
  const verdict = await world.gql(world.acme.key, ask, { id: chain.gid })
  expect(verdict.data.verifyChain).toBeNull()
  expect(outcome(verdict)).toBe('REGION_UNAVAILABLE')
  await heal(world)
  await eventually('home to answer for itself', async () => {
    const { data } = await world.gql(world.acme.key, '{ globalEvents(regions: [EU]) { regions { status } } }')
    return data.globalEvents.regions[0].status === 'OK'
  })
  expect(await verifyChain(world, chain)).toMatchObject({ ok: true, erasedEvents: 1 })
  await tend('US')
  expect(await replicaOf(world, 'US', chain.id)).toMatchObject({ state: 'COPYING', dropped: 3 })
})
