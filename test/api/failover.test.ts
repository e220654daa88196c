import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { asPerson, outcome, type Person } from '../harness/actors.js'
import { createWorld } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { actionsOf, createOutageWorld, heal, ingestAt, isHome, type OutageWorld, taken } from '../harness/outage.js'

const internalToken = 'a-token-for-operators'
let world: OutageWorld
let staff: Person
beforeAll(async () => {
  world = await createOutageWorld({ config: { internalToken, autoFailover: true } })
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
})
afterEach(async () => {
  await world.eu.set('pass')
  await change('endFailover', 'clean-up')
  await heal(world)
})
afterAll(() => world.close())

const event = (action: string) => ({ action, category: 'c' })
const ingest = (action: string) => taken(ingestAt(world.url, world.acme.in.EU.key, event(action)))
const healthFields =
  'region state healthy latencyMs reason pendingWrites deadLetters replicationBacklog oldestPendingWriteAt'
const change = (field: 'triggerFailover' | 'endFailover', reason: string) =>
  staff.gql(
    `mutation ($input: ${field[0]!.toUpperCase()}${field.slice(1)}Input!) { ${field}(input: $input) { regionHealth { ${healthFields} } } }`,
    { input: { region: 'EU', reason } },
  )
const healthOf = async (region: string) => {
  const { data } = await staff.gql(`{ regionHealth { ${healthFields} } }`)
  return data.regionHealth.find((one: { region: string }) => one.region === region)
}
const logged = async (): Promise<string[]> => {
  const { data } = await staff.gql('{ adminLog(first: 100) { nodes { action } } }')
  return data.adminLog.nodes
    .map(({ action }: { action: string }) => action)
    .filter((action: string) => action.startsWith('region.'))
}

describe('a failover by staff', () => {
  it('queues writes and asks the region nothing, however well it is, until it is ended; then all of it is home', async () => {
    const before = await actionsOf(world, world.acme.in.EU)
    const entries = (await logged()).length
    const { data } = await change('triggerFailover', 'maintenance')
    expect(data.triggerFailover.regionHealth).toMatchObject({
      state: 'FAILED_OVER',
      healthy: false,
      reason: 'failed_over',
      pendingWrites: 0,
      replicationBacklog: 0,
    })
    expect((await change('triggerFailover', 'again')).data.triggerFailover.regionHealth.state).toBe('FAILED_OVER')
    expect((await ingest('queued')).status).toBe('QUEUED')
    const page = await world.gql(world.acme.key, '{ globalEvents { complete regions { region status reason } } }')
    expect(page.data.globalEvents.complete).toBe(false)
    expect(page.data.globalEvents.regions).toContainEqual({
      region: 'EU',
      status: 'UNAVAILABLE',
      reason: 'failed_over',
    })
    const regions = await world.gql(world.globex.key, '{ companyRegions { primary { region healthy } } }')
    expect(regions.data.companyRegions.primary).toEqual({ region: 'EU', healthy: false })
    // Nothing is brought home meanwhile, whoever tries.
    await world.app.scheduler.runNow('failover-recovery', 'EU')
    expect(await world.pending()).toBe(1)
    const now = await healthOf('EU')
    expect(now).toMatchObject({ pendingWrites: 1, deadLetters: 0 })
    expect(new Date(now.oldestPendingWriteAt).getTime()).toBeLessThanOrEqual(Date.now())
    expect(outcome(await change('endFailover', 'done'))).toBe('OK')
    await heal(world)
    expect(await actionsOf(world, world.acme.in.EU)).toEqual([...before, 'queued'])
    expect((await ingest('home')).status).toBe('RECORDED')
    expect(await healthOf('EU')).toMatchObject({ state: 'HEALTHY', healthy: true, pendingWrites: 0 })
    await change('endFailover', 'again')
    expect((await logged()).length - entries).toBe(2)
  })

  it('is known to every process within a second', async () => {
    const other = await world.another()
    await change('triggerFailover', 'maintenance')
    const answer = await taken(ingestAt(other.url, world.acme.in.EU.key, event('elsewhere')))
    expect(answer.status).toBe('QUEUED')
    await eventually('it to be known', () => other.app.modes.isFailedOver('EU'), 1_000)
    await change('endFailover', 'done')
    await eventually('both to be home', () => other.app.modes.home('EU') !== null)
    await other.app.close()
  })

  it('wants a reason, in plain text without an address, and a region that is configured', async () => {
    for (const reason of ['', ' ', 'x'.repeat(501), 'ask ada@example.com', 'a\0b', '\ud800'])
      expect(outcome(await change('triggerFailover', reason))).toBe('BAD_USER_INPUT')
    expect((await healthOf('EU')).state).toBe('HEALTHY')
  })
})

describe('a failover by itself', () => {
  it('comes after three checks in a row that found the region down, and stays when it is back', async () => {
    await world.eu.set('refuse')
    for (const state of ['UNHEALTHY', 'UNHEALTHY', 'FAILED_OVER']) {
      await world.app.scheduler.runNow('health')
      await eventually(state, async () => (await healthOf('EU')).state === state)
    }
    expect((await logged())[0]).toBe('region.failed_over')
    await world.eu.set('pass')
    await world.app.scheduler.runNow('health')
    expect((await healthOf('EU')).state).toBe('FAILED_OVER')
  })

  it('is not without AUTO_FAILOVER', async () => {
    const plain = await createWorld({ regionUrl: (region, url) => (region === 'EU' ? world.eu.urlFor(url) : url) })
    await world.eu.set('refuse')
    for (let n = 0; n < 4; n++) await plain.app.scheduler.runNow('health')
    expect(plain.app.modes.isFailedOver('EU')).toBe(false)
    await plain.close()
  })
})

describe('GET /internal/region-health', () => {
  it('tells operators what regionHealth tells staff, and nobody else', async () => {
    const address = world.url.replace('/graphql', '/internal/region-health')
    expect((await fetch(address)).status).toBe(403)
    const wrong = await fetch(address, { headers: { 'x-internal-token': `${internalToken}x` } })
    expect(wrong.status).toBe(403)
    const response = await fetch(address, { headers: { 'x-internal-token': internalToken } })
    const { regions } = (await response.json()) as {
      regions: { region: string; state: string; pendingWrites: number }[]
    }
    expect(regions.map(({ region }) => region)).toEqual(['AU', 'US', 'EU', 'APAC'])
    expect(regions.find(({ region }) => region === 'EU')).toMatchObject({ state: 'HEALTHY', pendingWrites: 0 })
  })

  it('is 503 while control does not answer', async () => {
    await world.controlProxy.set('refuse')
    const address = world.url.replace('/graphql', '/internal/region-health')
    const response = await fetch(address, { headers: { 'x-internal-token': internalToken } })
    await world.controlProxy.set('pass')
    expect(response.status).toBe(503)
    await isHome(world)
    await eventually('control to answer', async () => outcome(await staff.gql('{ regionHealth { region } }')) === 'OK')
  })
})

describe('metrics', () => {
  it('tell what waits and where writes go', async () => {
    await change('triggerFailover', 'maintenance')
    await ingest('counted')
    const response = await fetch(world.url.replace('/graphql', '/metrics'), {
      headers: { 'x-internal-token': internalToken },
    })
    const text = await response.text()
    for (const line of [
      'hyrelog_pending_writes{region="EU"} 1',
      'hyrelog_dead_letters{region="EU"} 0',
      'hyrelog_region_mode{region="EU",mode="FAILED_OVER"} 1',
      'hyrelog_region_mode{region="AU",mode="HOME"} 1',
    ])
      expect(text).toContain(line)
    expect(text).toMatch(/hyrelog_events_queued_total\{region="EU"\} [1-9]/)
  })
})
