import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createWorld, sendGraphql, type World, type WorldWorkspace } from '../harness/app.js'
import {
  CacheStage,
  counted,
  countsOf,
  firstPageQuery,
  idsOf,
  pageOf,
  type Process,
  type ShownPage,
  record,
} from '../harness/cache-stage.js'
import { eventually } from '../harness/eventually.js'
import { hasRedis, needsRedis, type TestRedis } from '../harness/redis.js'
import { settableClock } from '../harness/settable-clock.js'

/*
 * First pages that were read before are shown again only where they are still right: two processes of the service, and a
 * Redis that answers, hangs or is dead.
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

/** The statements that ask regions for pages of events while the work is done. */
async function pagesAsked(work: () => Promise<unknown>): Promise<{ text: string; values: unknown[] }[]> {
  const spy = vi.spyOn(Client.prototype, 'query')
  try {
    await work()
    const sent = spy.mock.calls.map(([one]) => one as unknown as { text: string; values: unknown[]; name?: string })
    return sent.filter(({ name }) => name?.startsWith('events_'))
  } finally {
    spy.mockRestore()
  }
}

describe.skipIf(!hasRedis)(`a first page${needsRedis}`, () => {
  it('that was read before comes from memory, and in another process from Redis', async () => {
    await record(a, EU, { actor: { id: 'ana', email: 'ana@example.com' }, payload: { n: 1 } })
    expect(await counted(a, () => pageOf(a, EU))).toEqual({ memory: 0, redis: 0, misses: 1 })
    // Asked for again: from now on it is held.
    const first = await pageOf(a, EU)
    expect(await counted(a, () => pageOf(a, EU))).toEqual({ memory: 1, redis: 0, misses: 0 })
    await eventually('the page is in Redis', async () => (await stage.values()) > 0)
    let shown: ShownPage | undefined
    const counts = await counted(b, async () => {
      shown = await pageOf(b, EU)
    })
    expect(counts).toEqual({ memory: 0, redis: 1, misses: 0 })
    expect(shown).toEqual(first)
    expect(await counted(b, () => pageOf(b, EU))).toEqual({ memory: 1, redis: 0, misses: 0 })
  })

  it('that is remembered has the database look at no event', async () => {
    for (let n = 0; n < 3; n++) await pageOf(a, EU)
    const [statement] = await pagesAsked(() => pageOf(a, EU))
    const { text, values } = statement!
    const client = new Client({ connectionString: world.databases.regions.EU.databaseUrl })
    await client.connect()
    const looked = async (version: unknown) => {
      await client.query(`begin; set local app.companies = '${world.acme.id}'`)
      const { rows } = await client.query(`explain (analyze, format json) ${text}`, [...values.slice(0, -1), version])
      await client.query('rollback')
      const plan = JSON.stringify(rows[0]['QUERY PLAN'])
      return [...plan.matchAll(/"Relation Name":"event".*?"Actual Loops":(\d+)/g)].map(([, loops]) => Number(loops))
    }
    expect(await looked(values.at(-1))).toEqual([0])
    // The control: of another version it would have.
    expect(await looked('another')).toEqual([1])
    await client.end()
  })

  it('is not the one of another filter, tenant, size or set of fields', async () => {
    const [one, two] = [await record(a, EU, { action: 'one' }), await record(a, EU, { action: 'two' })]
    const globex = world.globex.in.EU
    for (let round = 0; round < 3; round++) {
      expect(await idsOf(b, EU, { actions: ['one'] })).toEqual([one])
      expect(await idsOf(b, EU, { actions: ['two'] })).toEqual([two])
      expect(await idsOf(b, globex)).toEqual([])
      const small = await sendGraphql(b.url, EU.key, '{ workspaceEvents(first: 1) { nodes { id } } }')
      expect(small.data.workspaceEvents.nodes).toEqual([{ id: two }])
    }
  })

  it('that is asked for once, or changes each time, is not asked for by its version', async () => {
    const action = randomUUID()
    const filter = { actions: [action] }
    const versioned = async () => {
      const [statement] = await pagesAsked(() => pageOf(a, EU, filter))
      return statement!.text.includes('chain_head')
    }
    expect(await versioned()).toBe(false)
    expect(await versioned()).toBe(true)
    const told: boolean[] = []
    for (let n = 0; n < 12; n++) {
      await record(a, EU, { action })
      told.push(await versioned())
    }
    expect(told.filter(Boolean).length).toBeLessThan(6)
    // It is again once it keeps still.
    await eventually('it is held', async () => (await counted(a, () => pageOf(a, EU, filter))).memory === 1)
  })

  it('that several ask for at once is read once, and again for who asks later', async () => {
    const filter = `filter: { actions: ["${randomUUID()}"] }`
    const query = ['p', 'q', 'r'].map((name) => `${name}: workspaceEvents(${filter}) { nodes { id } }`).join(' ')
    const ask = async () => {
      const { data } = await sendGraphql(b.url, EU.key, `{ ${query} }`)
      expect(data).toEqual({ p: { nodes: [] }, q: { nodes: [] }, r: { nodes: [] } })
    }
    expect(await pagesAsked(ask)).toHaveLength(1)
    expect(await pagesAsked(ask)).toHaveLength(1)
  })

  it('says nothing for a region that does not answer', async () => {
    const { AU } = world.acme.in
    await record(a, AU)
    await pageOf(a, AU)
    await pageOf(a, AU)
    // Remembered or not, the region itself is asked.
    expect(await pagesAsked(() => pageOf(a, AU))).toHaveLength(1)
    a.app.gateway.heard('AU', 'unreachable')
    const { errors, data } = await sendGraphql(a.url, AU.key, firstPageQuery)
    expect(data?.workspaceEvents ?? null).toBeNull()
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'REGION_UNAVAILABLE', regions: ['AU'] })
    a.app.gateway.heard('AU', null)
    expect(await idsOf(a, AU)).toHaveLength(1)
  })
})

describe('a page in memory', () => {
  it('goes out of sight with the retention of its events, and comes back with a clock that is set back', async () => {
    const clock = settableClock(new Date('2026-03-01T12:30:00Z'))
    const own = await createWorld({ clock })
    const process = { app: own.app, url: own.url }
    const workspace = own.acme.in.EU
    const id = await record(process, workspace)
    const dayMs = 86_400_000
    let atMs = 0
    const shownAt = async (ms: number) => {
      clock.advance(ms - atMs)
      atMs = ms
      return (await pageOf(process, workspace)).nodes.map((node) => node.id)
    }
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 3; n++) expect(await shownAt(365 * dayMs - 1000)).toEqual([id])
      for (let n = 0; n < 3; n++) expect(await shownAt(365 * dayMs + 1000)).toEqual([])
      expect(await shownAt(0)).toEqual([id])
    }
    expect(countsOf(process).memory).toBeGreaterThan(0)
    await own.close()
  })
})

describe.skipIf(!hasRedis)(`what was acknowledged${needsRedis}`, () => {
  afterEach(async () => {
    await stage.restart()
  })

  it.each([
    ['answers', async () => undefined],
    ['hangs', async () => redis.hang()],
    ['is dead', () => redis.kill()],
    ['was restarted empty', async () => (await redis.kill(), redis.run())],
  ])('by one process is in the next page of another while Redis %s', async (_, disturb) => {
    await stage.shareVia(a, EU, { categories: ['test'] })
    await pageOf(b, EU)
    await disturb()
    for (let round = 0; round < 10; round++) {
      const id = await record(round % 2 === 0 ? a : b, EU)
      const [reader, writer] = round % 2 === 0 ? [b, a] : [a, b]
      const pages = await Promise.all([
        ...Array.from({ length: 5 }, () => idsOf(reader, EU)),
        idsOf(writer, EU),
        idsOf(reader, EU, { categories: ['test'] }),
      ])
      for (const ids of pages) expect(ids[0]).toBe(id)
    }
  })

  it('is in the next page although an earlier question for it is still under way', async () => {
    const filter = { actions: [randomUUID()] }
    const early = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<void>()
    const real = b.app.gateway.read.bind(b.app.gateway)
    // The answer is on its way for a long time.
    const slow = vi.spyOn(b.app.gateway, 'read').mockImplementationOnce(async (...asked) => {
      const found = await real(...asked)
      early.resolve()
      await answer.promise
      return found
    })
    const before = idsOf(b, EU, filter)
    await early.promise
    const id = await record(a, EU, { action: filter.actions[0] })
    const after = idsOf(b, EU, filter)
    await eventually('the second question is read for itself', () => slow.mock.calls.length > 1)
    answer.resolve()
    expect(await after).toEqual([id])
    expect(await before).toEqual([])
    slow.mockRestore()
  })

  it('while others read without pause is in every page that is asked for afterwards', async () => {
    const over = new AbortController()
    const readers = Array.from({ length: 6 }, async () => {
      while (!over.signal.aborted) await pageOf(b, EU)
    })
    for (let round = 0; round < 30; round++) {
      const id = await record(a, EU)
      expect((await idsOf(b, EU))[0]).toBe(id)
    }
    over.abort()
    await Promise.all(readers)
  })
})
