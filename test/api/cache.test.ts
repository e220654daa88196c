import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { App } from '../../src/app.js'
import { SharedCache } from '../../src/cache/shared-cache.js'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { decodeRegionalId } from '../../src/kernel/ids.js'
import { equalityTag } from '../../src/sealing/tags.js'
import { createWorld, pepper, sendGraphql, type World, type WorldWorkspace } from '../harness/app.js'
import { needlesOf, NeedleSet } from '../harness/disk-scan.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest } from '../harness/gdpr.js'
import { hasRedis, TestRedis } from '../harness/redis.js'

/*
 * First pages that were read before are shown again only where they are still right, whatever Redis does: two processes
 * of the service, and a Redis that answers, hangs, dies, is full, or is in the hands of somebody else.
 */

type Process = { readonly app: App; readonly url: string }

let redis: TestRedis
let world: World
let a: Process
let b: Process
let EU: WorldWorkspace

const never = new AbortController().signal

if (!hasRedis)
  console.warn('There is no redis-server on this machine: what needs one is not tested (apt install redis-server).')

beforeAll(async () => {
  if (!hasRedis) return
  redis = await TestRedis.start()
  world = await createWorld({ config: { redisUrl: redis.url } })
  a = { app: world.app, url: world.url }
  b = await another()
  EU = world.acme.in.EU
})
afterAll(async () => {
  if (!hasRedis) return
  await b.app.close()
  await world.close()
  await redis.stop()
})

/** One more process, which remembers nothing yet; it knows that Redis answers. */
async function another(): Promise<Process> {
  const process = await world.another({ config: { redisUrl: redis.url } })
  await isUp(process)
  return process
}
const isUp = (process: Process) => eventually('Redis is in use', () => process.app.sharedCache!.isUp)

interface Page {
  readonly nodes: readonly { readonly id: string; readonly action: string; readonly actor: { id: string } | null }[]
}
/** The first page of a workspace's events as a process shows it. */
async function pageOf({ url }: Process, workspace = EU, filter: Record<string, unknown> = {}): Promise<Page> {
  const answer = await sendGraphql(
    url,
    workspace.key,
    `query ($filter: EventFilter) { workspaceEvents(filter: $filter, first: 10) { nodes { id action actor { id email } payload } } }`,
    { filter },
  )
  expect(answer.errors).toBeUndefined()
  return answer.data.workspaceEvents
}
const idsOf = async (...args: Parameters<typeof pageOf>) => (await pageOf(...args)).nodes.map(({ id }) => id)

async function record(process: Process, event: Record<string, unknown> = {}, workspace = EU): Promise<string> {
  const answer = await sendGraphql(
    process.url,
    workspace.key,
    'mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId } } }',
    { input: { action: 'door.opened', category: 'test', ...event } },
  )
  expect(answer.errors).toBeUndefined()
  return answer.data.ingestEvent.receipt.eventId
}

const countsOf = ({ app }: Process) => ({ ...app.firstPages.figures.hits, misses: app.firstPages.figures.misses })
/** What a process counted more while the work was done. */
async function counted(process: Process, work: () => Promise<unknown>) {
  const before = countsOf(process)
  await work()
  const after = countsOf(process)
  return {
    memory: after.memory - before.memory,
    redis: after.redis - before.redis,
    misses: after.misses - before.misses,
  }
}

/** How many values are in Redis. */
const valuesIn = async () =>
  (await redis.dump()).filter(({ where }) => where !== 'a key' && where !== 'a field' && where !== 'fence').length

/** Has a page in Redis, so that a process that never read it is shown it from there. */
async function shareVia(process: Process, ...rest: [WorldWorkspace?, Record<string, unknown>?]): Promise<void> {
  const held = async () => JSON.stringify(await redis.dump())
  const before = await held()
  // Asked for again unchanged; and once more where Redis has forgotten what the process knew of it.
  await eventually('the page is in Redis', async () => {
    await pageOf(process, ...rest)
    return (await held()) !== before
  })
}

describe.skipIf(!hasRedis)('a first page', () => {
  it('that was read before comes from memory, and in another process from Redis', async () => {
    await record(a, { actor: { id: 'ana', email: 'ana@example.com' }, payload: { n: 1 } })
    expect(await counted(a, () => pageOf(a))).toEqual({ memory: 0, redis: 0, misses: 1 })
    const first = await pageOf(a)
    expect(await counted(a, () => pageOf(a))).toEqual({ memory: 1, redis: 0, misses: 0 })
    await eventually('the page is in Redis', async () => (await valuesIn()) > 0)
    let shown: Page | undefined
    const counts = await counted(b, async () => {
      shown = await pageOf(b)
    })
    expect(counts).toEqual({ memory: 0, redis: 1, misses: 0 })
    expect(shown).toEqual(first)
    expect(await counted(b, () => pageOf(b))).toEqual({ memory: 1, redis: 0, misses: 0 })
  })

  it('that is remembered has the database look at no event', async () => {
    await pageOf(a)
    const spy = vi.spyOn(Client.prototype, 'query')
    await pageOf(a)
    const sent = spy.mock.calls.map(([one]) => one as unknown as { text: string; values: unknown[]; name?: string })
    spy.mockRestore()
    const { text, values } = sent.find(({ name }) => name?.startsWith('events_'))!
    const client = new Client({ connectionString: world.databases.regions.EU.databaseUrl })
    await client.connect()
    const looked = async (version: unknown) => {
      await client.query(`begin; set local app.companies = '${world.acme.id}'`)
      const { rows } = await client.query(`explain (analyze, format json) ${text}`, values.with(-1, version))
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
    const [one, two] = [await record(a, { action: 'one' }), await record(a, { action: 'two' })]
    const globex = world.globex.in.EU
    for (let round = 0; round < 3; round++) {
      expect(await idsOf(b, EU, { actions: ['one'] })).toEqual([one])
      expect(await idsOf(b, EU, { actions: ['two'] })).toEqual([two])
      expect(await idsOf(b, globex)).toEqual([])
      const small = await sendGraphql(b.url, EU.key, '{ workspaceEvents(first: 1) { nodes { id } } }')
      expect(small.data.workspaceEvents.nodes).toEqual([{ id: two }])
    }
  })

  it('says nothing for a region that does not answer', async () => {
    const { AU } = world.acme.in
    await record(a, {}, AU)
    await pageOf(a, AU)
    await pageOf(a, AU)
    const asked = vi.spyOn(a.app.registry.get('AU').database, 'transaction')
    await pageOf(a, AU)
    // Remembered or not, the region itself was asked.
    expect(asked).toHaveBeenCalledTimes(1)
    asked.mockRestore()
    a.app.gateway.heard('AU', 'unreachable')
    const { errors, data } = await sendGraphql(
      a.url,
      AU.key,
      '{ workspaceEvents(first: 10) { nodes { id action actor { id email } payload } } }',
    )
    expect(data?.workspaceEvents ?? null).toBeNull()
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'REGION_UNAVAILABLE', regions: ['AU'] })
    a.app.gateway.heard('AU', null)
    expect(await idsOf(a, AU)).toHaveLength(1)
  })
})

describe.skipIf(!hasRedis)('what was acknowledged', () => {
  afterEach(async () => {
    redis.resume()
    await redis.kill()
    await redis.run()
    await Promise.all([isUp(a), isUp(b)])
  })

  it.each([
    ['answers', () => undefined],
    ['hangs', () => redis.hang()],
    ['is dead', () => redis.kill()],
    ['was restarted empty', async () => (await redis.kill(), redis.run())],
  ])('by one process is in the next page of another while Redis %s', async (_, disturb) => {
    await shareVia(a, EU, { categories: ['test'] })
    await pageOf(b)
    await disturb()
    for (let round = 0; round < 10; round++) {
      const id = await record(round % 2 === 0 ? a : b)
      const [reader, writer] = round % 2 === 0 ? [b, a] : [a, b]
      const pages = await Promise.all([
        ...Array.from({ length: 5 }, () => idsOf(reader)),
        idsOf(writer),
        idsOf(reader, EU, { categories: ['test'] }),
      ])
      for (const ids of pages) expect(ids[0]).toBe(id)
    }
  })

  it('while others read without pause is in every page that is asked for afterwards', async () => {
    let isOver = false
    const readers = Array.from({ length: 6 }, async () => {
      while (!isOver) await pageOf(b)
    })
    for (let round = 0; round < 30; round++) {
      const id = await record(a)
      expect((await idsOf(b))[0]).toBe(id)
    }
    isOver = true
    await Promise.all(readers)
  })
})

describe.skipIf(!hasRedis)('a Redis that fails', () => {
  afterEach(async () => {
    redis.resume()
    await redis.kill()
    await redis.run()
    await Promise.all([isUp(a), isUp(b)])
  })
  const troublesOf = ({ app }: Process) => ({ ...app.sharedCache!.troubles })

  it.each([
    ['hangs', () => redis.hang()],
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
    await shareVia(a, EU, filter)
    await isUp(b)
    expect(await counted(b, () => pageOf(b, EU, filter))).toEqual({ memory: 0, redis: 1, misses: 0 })
  })

  it('does not keep a process from starting', async () => {
    await redis.kill()
    const late = await world.another({ config: { redisUrl: redis.url } })
    const id = await record(late)
    expect((await idsOf(late))[0]).toBe(id)
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
    expect(await valuesIn()).toBe(0)
    const id = await record(a)
    expect((await idsOf(b))[0]).toBe(id)
  })
})

describe.skipIf(!hasRedis)('a Redis in the hands of somebody else', () => {
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
    const right = [await record(a, { action })]
    const filters = [{ actions: [randomUUID()] }, { actions: [action] }]
    for (const filter of filters) await shareVia(a, EU, filter)
    await tamper(change)
    const fresh = await another()
    expect(await idsOf(fresh, EU, filters[0])).toEqual([])
    expect(await idsOf(fresh, EU, filters[1])).toEqual(right)
    expect(countsOf(fresh)).toMatchObject({ redis: 0, misses: 2 })
    expect(fresh.app.sharedCache!.troubles.invalid).toBe(2)
    await fresh.app.close()
  })

  it('can bring no old page back', async () => {
    const filter = { categories: ['test'] }
    await redis.client.flushall()
    const fresh = await another()
    await shareVia(fresh, EU, filter)
    const kept = await Promise.all(
      (await redis.client.keys('*')).map(async (key) => [key, await redis.client.dumpBuffer(key)] as const),
    )
    const id = await record(a)
    for (const [key, bytes] of kept) await redis.client.restore(key, 0, bytes!, 'REPLACE')
    const late = await another()
    expect((await idsOf(late, EU, filter))[0]).toBe(id)
    await Promise.all([fresh.app.close(), late.app.close()])
  })

  it('can put something else in its place', async () => {
    for (const key of await redis.client.keys('*')) await redis.client.set(key, 'a string')
    const fresh = await another()
    const id = await record(fresh)
    expect((await idsOf(fresh))[0]).toBe(id)
    expect((await idsOf(fresh))[0]).toBe(id)
    expect(fresh.app.sharedCache!.troubles.refused).toBeGreaterThan(0)
    await fresh.app.close()
    await redis.client.flushall()
  })
})

describe.skipIf(!hasRedis)('an erasure', () => {
  const subject = { id: 'kunde-4711', email: 'Zoe.Quint@People.Example', name: 'Zoe Quint' }
  it('leaves no page of the company in Redis or in any memory, and waits for a Redis that does not answer', async () => {
    const trio = await makeTrio(world, world.acme)
    await redis.client.flushall()
    const kept: { group: string; name: string }[] = []
    const spy = vi.spyOn(SharedCache.prototype, 'write')
    const own = await record(a, { actor: subject, payload: { of: subject.name } })
    const other = await record(a, { actor: { id: 'other' }, payload: { about: subject.email } })
    const filter = { actorEmail: subject.email }
    for (const [process, one] of [
      [a, {}],
      [a, filter],
    ] as const)
      await shareVia(process, EU, one)
    await Promise.all([pageOf(b), pageOf(b, EU, filter)])
    for (const [group, name] of spy.mock.calls) kept.push({ group, name })
    spy.mockRestore()

    // The control: with the service's own secret, what is sealed of the subject is found in Redis.
    const thief = SharedCache.open({ url: redis.url, secret: pepper, log: a.app.log })
    await eventually('Redis answers the thief', () => thief.isUp)
    const superuser = new Client({ connectionString: world.databases.superuserUrl(world.databases.regions.EU.name) })
    await superuser.connect()
    const blobs = await superuser.query<{ blob: string }>(
      `select encode(unnest(array[identity_blob, content_blob]), 'hex') as blob from event where sequence >=
         (select sequence from event where id = $1) and company_id = $2`,
      [decodeRegionalId('event', own, 'id').uuid, world.acme.id],
    )
    const opened = async () => {
      const texts: string[] = []
      for (const { group, name } of kept) texts.push((await thief.read(group, name))?.toString('utf8') ?? '')
      return texts.join()
    }
    const before = await opened()
    expect(blobs.rows.filter(({ blob }) => blob !== null && before.includes(blob)).length).toBeGreaterThan(2)

    // And without it nothing, of the filter neither.
    const tagKey = await a.app.facts.tagKey(world.acme.id)
    const needles = [
      ...Object.entries(subject).flatMap(([name, text]) => needlesOf(name, text)),
      ...(['actor.id', 'actor.email', 'target.id'] as const).flatMap((kind) =>
        Object.values(subject).flatMap((text) => {
          const tag = equalityTag(tagKey, kind, text)
          return [
            { name: 'tag', bytes: tag },
            { name: 'tag in hex', bytes: Buffer.from(tag.toString('hex')) },
          ]
        }),
      ),
      ...blobs.rows.flatMap(({ blob }) => (blob === null ? [] : [{ name: 'blob', bytes: Buffer.from(blob, 'hex') }])),
    ]
    const set = new NeedleSet(needles)
    const hits = async () =>
      (await redis.dump()).flatMap(({ bytes }) => [...set.placesIn(bytes).keys()].map(({ name }) => name))
    expect(await hits()).toEqual([])

    const id = await approvedRequest(trio, {
      companyId: world.acme.gid,
      requestType: 'DELETE',
      actorId: subject.id,
      actorEmail: subject.email,
      reason: 'asked for',
    })
    redis.hang()
    expect(await eraseRequests(a.app.erasure, never)).toBe(0)
    expect(await readRequest(trio.staff, id)).toMatchObject({ status: 'PROCESSING' })
    // It is not shown meanwhile.
    expect((await pageOf(b)).nodes.find((node) => node.id === own)?.actor ?? null).toBeNull()
    expect(await idsOf(b, EU, filter)).toEqual([])
    redis.resume()
    await Promise.all([isUp(a), isUp(b)])
    expect(await eraseRequests(a.app.erasure, never)).toBe(1)
    const done = await readRequest(trio.staff, id)
    expect(done.status).toBe('DONE')
    const pages = done.evidence.filter(({ store }: { store: string }) => store === 'cached pages')
    expect(pages.find(({ region }: { region: string }) => region === 'EU').records).toBeGreaterThan(1)

    expect(await valuesIn()).toBe(0)
    expect(await opened()).toMatch(/^,*$/)
    expect(await hits()).toEqual([])
    for (const { app } of [a, b]) await eventually('memory is empty', () => app.firstPages.size === 0)
    // What other people did is still there, without the mention.
    const shown = (await pageOf(b)).nodes.find((node) => node.id === other)
    expect(shown).toMatchObject({ actor: { id: 'other' } })
    expect(JSON.stringify(shown)).not.toContain(subject.email)
    await thief.close()
    await superuser.end()
  })

  it('refuses what somebody began to write before it', async () => {
    const group = `test ${randomUUID()}`
    const [early, eraser] = [a.app.sharedCache!, b.app.sharedCache!]
    const keeps = async (fence: string): Promise<boolean> => {
      let refused = false
      early.write(group, 'name', Buffer.from('value'), fence, () => {
        refused = true
      })
      await eventually('it is decided', async () => refused || (await early.read(group, 'name')) !== null)
      return !refused
    }
    // Neither where nothing was there before, nor where something was.
    const unknown = early.fence(group)
    expect(await eraser.drop(group)).toBe(0)
    expect(await keeps(unknown)).toBe(false)
    expect(await keeps(early.fence(group))).toBe(true)
    const known = early.fence(group)
    expect(await eraser.drop(group)).toBe(1)
    expect(await keeps(known)).toBe(false)
    expect(await early.read(group, 'name')).toBeNull()
  })
})
