import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Region } from '../../src/kernel/region.js'
import { createWorld, type World } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const deadlineMs = 800
let world: World
/** The way to the databases: EU and its read-only server, US without one, and control. */
let eu: TcpProxy
let euReadOnly: TcpProxy
let us: TcpProxy
let control: TcpProxy
let plain: World

beforeAll(async () => {
  plain = await createWorld()
  const { databaseUrl } = plain.databases.control
  ;[eu, euReadOnly, us, control] = await Promise.all([
    TcpProxy.before(databaseUrl),
    TcpProxy.before(databaseUrl),
    TcpProxy.before(databaseUrl),
    TcpProxy.before(databaseUrl),
  ])
  world = await createWorld({
    config: { regionDeadlineMs: deadlineMs },
    controlUrl: (url) => control.urlFor(url),
    regionUrl: (region, url) => (region === 'EU' ? eu.urlFor(url) : region === 'US' ? us.urlFor(url) : url),
    readOnlyUrl: (region, url) => (region === 'EU' ? euReadOnly.urlFor(url) : undefined),
  })
  for (const region of ['AU', 'US', 'EU'] as const)
    await world.record(world.acme.in[region], [
      { action: `${region} 1`, category: 'test', occurredAt: '2026-01-01T00:00:00Z', actor: { id: 'me' } },
      { action: `${region} 2`, category: 'test', occurredAt: '2026-01-02T00:00:00Z' },
    ])
})
afterAll(async () => {
  await Promise.all([world.close(), plain.close()])
  await Promise.all([eu.close(), euReadOnly.close(), us.close(), control.close()])
})
afterEach(async () => {
  await Promise.all([eu.set('pass'), euReadOnly.set('pass'), us.set('pass'), control.set('pass')])
  await eventually('all regions answer again', async () => {
    const { complete, regions } = await ask()
    return complete && regions.every(({ status }) => status === 'OK')
  })
})

interface Report {
  region: Region
  status: string
  servedBy: Region | null
  eventCount: number
  latencyMs: number
  reason: string | null
}
async function ask(args = 'first: 50') {
  const { data, errors } = await world.gql(
    world.acme.key,
    `{ globalEvents(${args}) { nodes { action dataRegion actor { id } } pageInfo { hasNextPage } complete
       regions { region status servedBy eventCount latencyMs reason } totalCount } }`,
  )
  expect(errors).toBeUndefined()
  return data.globalEvents as {
    nodes: { action: string; dataRegion: Region; actor: { id: string } | null }[]
    pageInfo: { hasNextPage: boolean }
    complete: boolean
    regions: Report[]
    totalCount: number | null
  }
}
const reportOf = (page: { regions: Report[] }, region: Region) => page.regions.find((one) => one.region === region)!

describe('globalEvents', () => {
  it('merges all regions newest first and reports each', async () => {
    const { nodes, regions, complete } = await ask()
    expect(nodes.map(({ action }) => action.slice(-1))).toEqual(['2', '2', '2', '1', '1', '1'])
    expect(complete).toBe(true)
    expect(
      regions.map(({ region, status, servedBy, eventCount, reason }) => ({
        region,
        status,
        servedBy,
        eventCount,
        reason,
      })),
    ).toEqual(
      (['AU', 'US', 'EU', 'APAC'] as const).map((region) => ({
        region,
        status: 'OK',
        servedBy: region,
        eventCount: region === 'APAC' ? 0 : 2,
        reason: null,
      })),
    )
  })

  it('asks only the regions named, and only those that can hold what the filter wants', async () => {
    expect((await ask('regions: [EU, AU, EU]')).regions.map(({ region }) => region)).toEqual(['AU', 'EU'])
    const { nodes, regions } = await ask(`filter: { workspaceId: "${world.acme.in.US.gid}" }`)
    expect(regions.map(({ region }) => region)).toEqual(['US'])
    expect(nodes).toHaveLength(2)
    const { errors } = await world.gql(world.acme.key, '{ globalEvents(regions: []) { complete } }')
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'regions' })
  })

  it('goes on without a region that is down, and says so', async () => {
    await us.set('refuse')
    const page = await ask()
    expect(page.complete).toBe(false)
    expect(reportOf(page, 'US')).toMatchObject({
      status: 'UNAVAILABLE',
      servedBy: null,
      eventCount: 0,
      reason: 'unreachable',
    })
    expect(page.nodes.map(({ dataRegion }) => dataRegion).toSorted()).toEqual(['AU', 'AU', 'EU', 'EU'])
    // The index counts what the region holds although it can't be asked.
    expect(page.totalCount).toBe(6)
  })

  it('waits for a silent region until the deadline once, then not at all until it answers again', async () => {
    await us.set('hang')
    const startedMs = performance.now()
    const first = await ask()
    const firstMs = performance.now() - startedMs
    expect(reportOf(first, 'US')).toMatchObject({ status: 'UNAVAILABLE', reason: 'timeout' })
    expect(firstMs).toBeGreaterThan(deadlineMs * 0.9)
    expect(firstMs).toBeLessThan(deadlineMs * 2)
    const againMs = performance.now()
    const second = await ask()
    expect(reportOf(second, 'US')).toMatchObject({ status: 'UNAVAILABLE', reason: 'timeout' })
    expect(performance.now() - againMs).toBeLessThan(deadlineMs / 2)
    await us.set('pass')
    await eventually('the region is asked again', async () => reportOf(await ask(), 'US').status === 'OK')
  })

  it.each(['refuse', 'hang'] as const)(
    'is served by the read-only server of a region whose primary answers with %s',
    async (mode) => {
      await eu.set(mode)
      const page = await ask()
      expect(page.complete).toBe(true)
      expect(reportOf(page, 'EU')).toMatchObject({ status: 'SERVED_BY_REPLICA', servedBy: 'EU', eventCount: 2 })
      expect(page.nodes.find(({ action }) => action === 'EU 1')?.actor).toEqual({ id: 'me' })
      await euReadOnly.set('refuse')
      expect(reportOf(await ask(), 'EU')).toMatchObject({ status: 'UNAVAILABLE', servedBy: null })
    },
  )

  it('answers with a null total while control is down, for a key it has seen', async () => {
    await control.set('refuse')
    const page = await ask()
    expect(page.totalCount).toBeNull()
    expect(page.nodes).toHaveLength(6)
  })
})

describe('lists of one region', () => {
  const query =
    'query ($id: ID) { workspaceEvents(workspaceId: $id) { nodes { action } region { region status servedBy reason } } }'
  it('say REGION_UNAVAILABLE where nothing of the region answers', async () => {
    await us.set('refuse')
    const { data, errors } = await world.gql(world.acme.key, query, { id: world.acme.in.US.gid })
    expect(data.workspaceEvents).toBeNull()
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'REGION_UNAVAILABLE', regions: ['US'] })
    const one = await world.gql(world.acme.key, '{ event(id: "evt_us_01h455vb4pex5vsknk084sn02q") { id } }')
    expect(one.errors?.[0]?.extensions).toMatchObject({ code: 'REGION_UNAVAILABLE', regions: ['US'] })
  })
  it('are served by the read-only server, and say so', async () => {
    await eu.set('refuse')
    const { data, errors } = await world.gql(world.acme.key, query, { id: world.acme.in.EU.gid })
    expect(errors).toBeUndefined()
    expect(data.workspaceEvents.nodes).toHaveLength(2)
    expect(data.workspaceEvents.region).toEqual({
      region: 'EU',
      status: 'SERVED_BY_REPLICA',
      servedBy: 'EU',
      reason: 'unreachable',
    })
  })
  it('companyEvents shows the primary region alone', async () => {
    const { data } = await world.gql(
      world.acme.key,
      '{ companyEvents { nodes { dataRegion } region { region status } } }',
    )
    expect(data.companyEvents.nodes).toEqual([{ dataRegion: 'AU' }, { dataRegion: 'AU' }])
    expect(data.companyEvents.region).toEqual({ region: 'AU', status: 'OK' })
  })
})

describe('companyRegions', () => {
  it('says within its second that a silent region is not healthy', async () => {
    await world.app.control.query("update company set data_region = 'US', replicate_to = '{EU}' where id = $1", [
      world.acme.id,
    ])
    await us.set('hang')
    const regions = await eventually('the change is known', async () => {
      const { data } = await world.gql(
        world.acme.key,
        '{ companyRegions { primary { region healthy latencyMs } replicas { region healthy } } }',
      )
      return data.companyRegions.primary.region === 'US' && data.companyRegions
    })
    expect(regions.primary).toEqual({ region: 'US', healthy: false, latencyMs: null })
    expect(regions.replicas).toEqual([{ region: 'EU', healthy: true }])
  })
})
