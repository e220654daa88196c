import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { World, WorldWorkspace } from '../harness/app.js'
import { CacheStage, counted, countsOf, idsOf, isUp, pageOf, type Process, record } from '../harness/cache-stage.js'
import { eventually } from '../harness/eventually.js'
import { hasRedis, needsRedis, type TestRedis } from '../harness/redis.js'

/*
 * A Redis that hangs, dies, is full, or is in the hands of somebody else: slower, never wrong.
 */

let stage: CacheStage
let redis: TestRedis
let world: World
let a: Process
let b: Process
let EU: WorldWorkspace

beforeAll(async () => {
  if (!hasRedis) return
  stage = await CacheStage.open()
  ;({ redis, world, a, b } = stage)
  EU = world.acme.in.EU
})
afterAll(async () => {
  if (hasRedis) await stage.close()
})

describe.skipIf(!hasRedis)(`a Redis that fails${needsRedis}`, () => {
  afterEach(async () => {
    await stage.restart()
  })
  const troublesOf = ({ app }: Process) => ({ ...app.sharedCache!.troubles })

  it.each([
    ['hangs', async () => redis.hang()],
    ['dies', () => redis.kill()],
  ])('costs one question at most when it %s, and is in use again when it is back', async (_, disturb) => {
    const before = troublesOf(a).unavailable
    await disturb()
    // Each a question that this process was never asked: it would look into Redis.
    for (let n = 0; n < 20; n++) expect(await idsOf(a, EU, { actions: [`none ${randomUUID()}`] })).toEqual([])
    expect(troublesOf(a).unavailable - before).toBeLessThanOrEqual(1)
    redis.resume()
    await redis.kill()
    await redis.run()
    await isUp(a)
    const filter = { actions: [randomUUID()] }
    await stage.shareVia(a, EU, filter)
    await isUp(b)
    expect(await counted(b, () => pageOf(b, EU, filter))).toEqual({ memory: 0, redis: 1, misses: 0 })
  })

  it('is told of by the metrics, as is what was remembered', async () => {
    const internalToken = 'a token for the metrics'
    const process = await world.another({ config: { redisUrl: redis.url, internalToken } })
    await isUp(process)
    const metrics = async (): Promise<Map<string, number>> => {
      const url = process.url.replace('/graphql', '/metrics')
      const text = await (await fetch(url, { headers: { 'x-internal-token': internalToken } })).text()
      return new Map(
        [...text.matchAll(/^(hyrelog_cache_\S+) (\S+)$/gm)].map(([, name, value]) => [name!, Number(value)]),
      )
    }
    const filter = { actions: [randomUUID()] }
    for (let n = 0; n < 2; n++) await pageOf(process, EU, filter)
    const up = await metrics()
    expect(up.get('hyrelog_cache_redis_up')).toBe(1)
    expect(up.get('hyrelog_cache_misses_total{cache="pages"}')).toBe(2)
    expect(up.get('hyrelog_cache_memory_pages')).toBe(1)
    await redis.kill()
    await eventually('it is missed', async () => {
      await pageOf(process, EU, { actions: [randomUUID()] })
      return !process.app.sharedCache!.isUp
    })
    await pageOf(process, EU, filter)
    const down = await metrics()
    expect(down.get('hyrelog_cache_redis_up')).toBe(0)
    expect(down.get('hyrelog_cache_errors_total{reason="unavailable"}')).toBeGreaterThan(0)
    expect(down.get('hyrelog_cache_hits_total{cache="pages",level="memory"}')).toBe(1)
    expect(down.get('hyrelog_cache_hits_total{cache="facts",level="memory"}')).toBeGreaterThan(0)
    await process.app.close()
  })

  it('does not keep a process from starting', async () => {
    await redis.kill()
    const late = await world.another({ config: { redisUrl: redis.url } })
    const id = await record(late, EU)
    expect((await idsOf(late, EU))[0]).toBe(id)
    await redis.run()
    await isUp(late)
    await late.app.close()
  })

  it('because it is full leaves everything right', async () => {
    await redis.client.config('SET', 'maxmemory', '1')
    const before = troublesOf(a).refused
    const filter = { actions: [randomUUID()] }
    for (let n = 0; n < 3; n++) expect(await idsOf(a, EU, filter)).toEqual([])
    await eventually('it was refused', async () => {
      await pageOf(a, EU, filter)
      return troublesOf(a).refused > before
    })
    expect(await stage.values()).toBe(0)
    const id = await record(a, EU)
    expect((await idsOf(b, EU))[0]).toBe(id)
  })
})

describe.skipIf(!hasRedis)(`a Redis in the hands of somebody else${needsRedis}`, () => {
  /** Rewrites every value of every group. */
  async function tamper(change: (value: Buffer, all: readonly Buffer[]) => Buffer): Promise<void> {
    const places: { key: string; field: string; value: Buffer }[] = []
    for (const key of await redis.client.keys('*'))
      for (const [field, value] of Object.entries(await redis.client.hgetallBuffer(key)))
        if (field !== 'fence') places.push({ key, field, value })
    expect(places.length).toBeGreaterThan(1)
    const all = places.map(({ value }) => value)
    for (const { key, field, value } of places) await redis.client.hset(key, field, change(value, all))
  }

  it.each([
    ['altered', (value: Buffer) => Buffer.concat([value.subarray(0, -1), Buffer.of(value.at(-1)! ^ 1)])],
    ['cut short', (value: Buffer) => value.subarray(0, 10)],
    ['made up', () => Buffer.from('{"version":"none","rows":[],"shownUntilMs":null}')],
    ['exchanged', (value: Buffer, all: readonly Buffer[]) => all.find((one) => !one.equals(value))!],
  ])('can show nobody a page that was %s', async (_, change) => {
    const action = randomUUID()
    const right = [await record(a, EU, { action })]
    const filters = [{ actions: [randomUUID()] }, { actions: [action] }]
    for (const filter of filters) await stage.shareVia(a, EU, filter)
    await tamper(change)
    const fresh = await stage.another()
    expect(await idsOf(fresh, EU, filters[0])).toEqual([])
    expect(await idsOf(fresh, EU, filters[1])).toEqual(right)
    await eventually('it is noticed', async () => {
      fresh.app.firstPages.forget('EU')
      expect(await idsOf(fresh, EU, filters[1])).toEqual(right)
      return fresh.app.sharedCache!.troubles.invalid > 0
    })
    expect(countsOf(fresh).redis).toBe(0)
    await fresh.app.close()
  })

  it('can bring no old page back', async () => {
    const filter = { categories: ['test'] }
    await redis.client.flushall()
    const fresh = await stage.another()
    await stage.shareVia(fresh, EU, filter)
    const kept = await Promise.all(
      (await redis.client.keys('*')).map(async (key) => [key, await redis.client.dumpBuffer(key)] as const),
    )
    const id = await record(a, EU)
    for (const [key, bytes] of kept) await redis.client.restore(key, 0, bytes, 'REPLACE')
    const late = await stage.another()
    expect((await idsOf(late, EU, filter))[0]).toBe(id)
    await Promise.all([fresh.app.close(), late.app.close()])
  })

  it('can put something else in its place', async () => {
    for (const key of await redis.client.keys('*')) await redis.client.set(key, 'a string')
    const fresh = await stage.another()
    const id = await record(fresh, EU)
    await eventually('it is noticed', async () => {
      fresh.app.firstPages.forget('EU')
      expect((await idsOf(fresh, EU))[0]).toBe(id)
      return fresh.app.sharedCache!.troubles.refused > 0
    })
    await fresh.app.close()
    await redis.client.flushall()
  })
})

describe.skipIf(!hasRedis)(`facts of workspaces${needsRedis}`, () => {
  const factsOf = ({ app }: Process) => ({ ...app.facts.figures.hits, misses: app.facts.figures.misses })
  const inRedis = async ({ app }: Process, id: string) =>
    (await app.sharedCache!.read(`facts 1 workspace ${id}`, 'workspace'))?.toString('utf8') ?? ''
  const rename = async (id: string, name: string) => {
    const owner = new Client({ connectionString: world.databases.superuserUrl(world.databases.control.name) })
    await owner.connect()
    await owner.query('update workspace set name = $2 where id = $1', [id, name])
    await owner.end()
  }
  const isListening = ({ app }: Process) =>
    eventually('it hears of changes', async () => {
      const before = app.facts.figures.misses
      // What was read before the listener began counts no more once it has.
      await app.facts.company(world.globex.id)
      await app.facts.company(world.globex.id)
      return app.facts.figures.misses === before
    })

  it('that one process has read are not read again by the other', async () => {
    const [one, two] = [await stage.another(), await stage.another()]
    await Promise.all([isListening(one), isListening(two)])
    const ids = [world.acme, world.globex].flatMap((company) => Object.values(company.in).map(({ id }) => id))
    // A transaction that began before either process listens to changes keeps what is read meanwhile from being believed.
    await eventually('one is found', async () => {
      const id = ids.shift()!
      const read = await one.app.facts.workspace(id)
      await eventually('it is in Redis', async () => (await inRedis(one, id)) !== '')
      const before = factsOf(two)
      expect(await two.app.facts.workspace(id)).toEqual(read)
      return factsOf(two).redis === before.redis + 1
    })
    await Promise.all([one.app.close(), two.app.close()])
  })

  it('that changed are not shown as they were, whatever Redis holds', async () => {
    const { id, name } = world.acme.in.APAC
    const one = await stage.another()
    await isListening(one)
    expect((await one.app.facts.workspace(id))!.name).toBe(name)
    await eventually('it is in Redis', async () => (await inRedis(one, id)).includes(name))
    const key = await keyOf(one, id)
    const old = await redis.client.dumpBuffer(key)

    await rename(id, 'Renamed')
    // One that comes too late to hear of it, while Redis still has the old one, and again when somebody has put it back.
    for (let round = 0; round < 2; round++) {
      await redis.client.restore(key, 60_000, old, 'REPLACE')
      const late = await stage.another()
      expect(await inRedis(late, id)).toContain(name)
      expect((await late.app.facts.workspace(id))!.name).toBe('Renamed')
      await isListening(late)
      expect((await late.app.facts.workspace(id))!.name).toBe('Renamed')
      await late.app.close()
    }
    // And one that heard of it.
    await redis.client.restore(key, 60_000, old, 'REPLACE')
    await eventually('the change is known', async () => (await one.app.facts.workspace(id))!.name === 'Renamed')
    await one.app.close()
  })

  /** The name in Redis of what it knows of a workspace. */
  async function keyOf(process: Process, id: string): Promise<string> {
    for (const key of await redis.client.keys('*')) {
      const bytes = await redis.client.dumpBuffer(key)
      await redis.client.del(key)
      const isIt = (await inRedis(process, id)) === ''
      await redis.client.restore(key, 0, bytes)
      if (isIt) return key
    }
    throw new Error('it is not in Redis')
  }
})
