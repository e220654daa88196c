import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COMMIT_TIMEOUT_MS } from '../../src/events/committer.js'
import type { IngestInput } from '../../src/events/ingest-input.js'
import { regions } from '../../src/kernel/region.js'
import { storedEvents, verifiedChain } from '../harness/chain.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { eventually } from '../harness/eventually.js'
import { makeVaultFolder, Recorder, refusalOf, type RecorderOptions, type Tenant } from '../harness/recorder.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const event = (action: string, more: Partial<IngestInput> = {}): IngestInput => ({
  action,
  category: 'test',
  actor: { id: 'u-1', email: 'ada@example.com', name: 'Ada' },
  payload: { n: 1 },
  ...more,
})
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

let vault: Awaited<ReturnType<typeof makeVaultFolder>>
beforeAll(async () => {
  vault = await makeVaultFolder()
})
afterAll(() => vault.remove())

/** Databases of one's own, the EU reached over a network that can fail. */
interface World {
  readonly databases: ClonedDatabases
  readonly recorder: Recorder
  readonly tenant: Tenant
  readonly proxy: TcpProxy
  /** Superuser in the EU, past the proxy. */
  readonly superuser: Client
  end(): Promise<void>
}

async function makeWorld(more: Partial<RecorderOptions> = {}): Promise<World> {
  const databases = await cloneDatabases()
  const proxy = await TcpProxy.before(databases.regions.EU.databaseUrl)
  const urls = Object.fromEntries(regions.map((region) => [region, databases.regions[region].databaseUrl]))
  const regionUrls = { ...urls, EU: proxy.urlFor(databases.regions.EU.databaseUrl) }
  const recorder = await Recorder.on(databases, vault.path, { regionUrls, ...more })
  const superuser = new Client({ connectionString: databases.superuserUrl(databases.regions.EU.name) })
  await superuser.connect()
  const tenant = await recorder.tenant()
  // The chain has a head from here on.
  await recorder.one(tenant.viewer, event('first'))
  const end = async (): Promise<void> => {
    await recorder.close()
    await proxy.close()
    await superuser.end()
    await databases.drop()
  }
  return { databases, recorder, tenant, proxy, superuser, end }
}

async function inWorld(run: (world: World) => Promise<void>, more: Partial<RecorderOptions> = {}): Promise<void> {
  const world = await makeWorld(more)
  try {
    await run(world)
  } finally {
    await world.end()
  }
}

/** Makes the commit of the first event with the action `slow.commit` last this long. */
const slowCommit = (seconds: number): string => `
  create sequence slow_commits;
  grant usage on slow_commits to hyrelog_service;
  create function doze() returns trigger language plpgsql as
    $$ begin if nextval('slow_commits') = 1 then perform pg_sleep(${seconds}); end if; return null; end $$;
  create constraint trigger doze after insert on event deferrable initially deferred
    for each row when (new.action = 'slow.commit') execute function doze()`

/** Makes the database refuse events by their action. */
const refusing = `
  create sequence deadlocks;
  grant usage on deadlocks to hyrelog_service;
  create function refuse() returns trigger language plpgsql as $$ begin
    if new.action = 'refused.always' then raise exception 'no'; end if;
    if new.action = 'refused.once' and nextval('deadlocks') = 1 then raise exception 'no' using errcode = '40P01'; end if;
    return new; end $$;
  create trigger refuse before insert on event for each row execute function refuse()`

/** Our connections to the EU that are in the middle of a COMMIT. */
async function committing({ superuser }: World): Promise<number[]> {
  const { rows } = await superuser.query<{ pid: number }>(
    `select pid from pg_stat_activity where datname = current_database() and query ilike 'commit' and state = 'active'`,
  )
  return rows.map((row) => row.pid)
}
const untilCommitting = (world: World): Promise<number[]> =>
  eventually('a commit under way', async () => {
    const pids = await committing(world)
    return pids.length > 0 && pids
  })

/** The actions of the tenant's chain, in order; the chain verifies. */
const actionsOf = async ({ recorder, tenant }: World): Promise<string[]> =>
  (await verifiedChain(recorder.database('EU'), tenant.workspace)).map((stored) => stored.action)

describe('many writers', () => {
  let databases: ClonedDatabases
  let first: Recorder
  let second: Recorder
  beforeAll(async () => {
    databases = await cloneDatabases()
    first = await Recorder.on(databases, vault.path)
    second = await Recorder.on(databases, vault.path)
  })
  afterAll(async () => {
    await first.close()
    await second.close()
    await databases.drop()
  })

  test('200 parallel writers over two processes make one chain without gap or fork', async () => {
    const tenant = await first.tenant()
    const receipts = await Promise.all(
      numbers(200).map(async (writer) => {
        const recorder = writer % 2 === 0 ? first : second
        const own = []
        for (let n = 0; n < 3; n++)
          own.push(await recorder.one(tenant.viewer, event('load', { payload: { writer, n } })))
        return own
      }),
    )
    const events = await verifiedChain(first.database('EU'), tenant.workspace)
    expect(events).toHaveLength(600)
    const byId = new Map(events.map((stored) => [stored.id, stored]))
    for (const receipt of receipts.flat()) {
      expect(byId.get(receipt.eventId)?.sequence).toBe(receipt.sequence)
      expect(byId.get(receipt.eventId)?.hash.equals(receipt.hash)).toBe(true)
    }
    // Each writer waited for its answers, so its own events stand in its own order.
    for (const own of receipts) {
      const sequences = own.map((one) => one.sequence)
      expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
    }
  })

  test('the events of one call stand together in their order, whatever else is recorded', async () => {
    const tenant = await first.tenant()
    const calls = numbers(30).map((call) =>
      numbers(1 + ((call * 7) % 40)).map((n) => event('call', { payload: { call, n } })),
    )
    const [receipts] = await Promise.all([
      Promise.all(calls.map((inputs, call) => (call % 2 === 0 ? first : second).many(tenant.viewer, inputs))),
      Promise.all(numbers(100).map((n) => first.one(tenant.viewer, event('single', { payload: { n } })))),
    ])
    for (const own of receipts)
      expect(own.map((receipt) => receipt.sequence)).toEqual(own.map((_, n) => own[0]!.sequence + n))
    await verifiedChain(first.database('EU'), tenant.workspace)
  })

  test('chains of many workspaces and companies grow side by side', async () => {
    const tenants = await Promise.all(numbers(8).map(() => first.tenant()))
    await Promise.all(
      tenants.flatMap((tenant) =>
        numbers(20).map((n) => (n % 2 === 0 ? first : second).one(tenant.viewer, event('side', { payload: { n } }))),
      ),
    )
    for (const { workspace } of tenants) expect(await verifiedChain(first.database('EU'), workspace)).toHaveLength(20)
  })

  test('two processes begin one chain together', async () => {
    const tenants = await Promise.all(numbers(10).map(() => first.tenant()))
    await Promise.all(
      tenants.flatMap((tenant) => [first, second].map((recorder) => recorder.one(tenant.viewer, event('begin')))),
    )
    for (const { workspace } of tenants) expect(await verifiedChain(first.database('EU'), workspace)).toHaveLength(2)
  })

  test('tree nodes are stored for every full run of 256', async () => {
    const tenant = await first.tenant()
    for (let n = 0; n < 2; n++)
      await first.many(
        tenant.viewer,
        numbers(300).map(() => event('tree')),
      )
    await verifiedChain(first.database('EU'), tenant.workspace)
    const nodes = await first
      .database('EU')
      .transaction({ companies: [tenant.company.id], readOnly: true, timeoutMs: 5_000 }, (tx) =>
        tx.query('select level, index from merkle_node where workspace_id = $1 order by index', [tenant.workspace.id]),
      )
    expect(nodes).toEqual([
      { level: 8, index: '0' },
      { level: 8, index: '1' },
    ])
  })
})

describe('a failing request', () => {
  test('one that the database refuses fails alone', () =>
    inWorld(async (world) => {
      await world.superuser.query(refusing)
      const { recorder, tenant } = world
      const outcomes = await Promise.allSettled(
        numbers(40).map((n) =>
          n === 17
            ? recorder.many(tenant.viewer, [event('fine'), event('refused.always')])
            : recorder.one(tenant.viewer, event('fine')),
        ),
      )
      expect(outcomes.map((outcome) => outcome.status)).toEqual(
        numbers(40).map((n) => (n === 17 ? 'rejected' : 'fulfilled')),
      )
      expect(await actionsOf(world)).toEqual(['first', ...numbers(39).map(() => 'fine')])
    }))

  test('a deadlock is tried again and nobody hears of it', () =>
    inWorld(async (world) => {
      await world.superuser.query(refusing)
      const receipt = await world.recorder.one(world.tenant.viewer, event('refused.once'))
      expect(receipt).toMatchObject({ sequence: 2, replayed: false })
      expect(await actionsOf(world)).toEqual(['first', 'refused.once'])
    }))
})

describe('a connection lost in the middle of a COMMIT', () => {
  test('the server ended it and nothing was recorded: it is recorded by another attempt, once', () =>
    inWorld(async (world) => {
      await world.superuser.query(slowCommit(30))
      const recording = world.recorder.one(world.tenant.viewer, event('slow.commit'))
      for (const pid of await untilCommitting(world))
        await world.superuser.query('select pg_terminate_backend($1)', [pid])
      expect(await recording).toMatchObject({ sequence: 2, replayed: false })
      expect(await actionsOf(world)).toEqual(['first', 'slow.commit'])
    }))

  test('the network dropped it and the commit went through: the answer is that of the commit', () =>
    inWorld(async (world) => {
      await world.superuser.query(slowCommit(0.5))
      const recording = world.recorder.one(world.tenant.viewer, event('slow.commit'))
      await untilCommitting(world)
      world.proxy.cut()
      const receipt = await recording
      expect(receipt).toMatchObject({ sequence: 2, replayed: false })
      const [, stored] = await storedEvents(world.recorder.database('EU'), world.tenant.workspace)
      expect(stored).toMatchObject({ id: receipt.eventId, sequence: 2 })
      expect(await actionsOf(world)).toEqual(['first', 'slow.commit'])
    }))

  test('and the region is gone: the answer says that it may have been recorded, and a retry is safe', () =>
    inWorld(async (world) => {
      const { recorder, tenant } = world
      await world.superuser.query(slowCommit(0.5))
      const input = event('slow.commit', { idempotencyKey: 'k-1' })
      const recording = refusalOf(recorder.one(tenant.viewer, input))
      await untilCommitting(world)
      await world.proxy.set('refuse')
      const refusal = await recording
      expect(refusal).toMatchObject({ code: 'REGION_UNAVAILABLE', details: { regions: ['EU'] } })
      expect(refusal.message).toMatch(/may have been recorded/)
      await world.proxy.set('pass')
      expect(await recorder.one(tenant.viewer, input)).toMatchObject({ sequence: 2, replayed: true })
      expect(await actionsOf(world)).toEqual(['first', 'slow.commit'])
    }))
})

describe('a region that does not answer', () => {
  test('is REGION_UNAVAILABLE at once when it is stopped, and the others go on', () =>
    inWorld(async (world) => {
      const { recorder, tenant, proxy } = world
      const elsewhere = await recorder.tenant('AU')
      await proxy.set('refuse')
      const [refusal, receipt] = await Promise.all([
        refusalOf(recorder.one(tenant.viewer, event('lost'))),
        recorder.one(elsewhere.viewer, event('recorded')),
      ])
      expect(refusal).toMatchObject({ code: 'REGION_UNAVAILABLE', details: { regions: ['EU'] } })
      expect(refusal.message).toMatch(/nothing was recorded/)
      expect(receipt.region).toBe('AU')
      await proxy.set('pass')
      expect(await recorder.one(tenant.viewer, event('again'))).toMatchObject({ sequence: 2 })
      expect(await actionsOf(world)).toEqual(['first', 'again'])
    }))

  test('a connection that died while idle costs nobody an event', () =>
    inWorld(async (world) => {
      await Promise.all(numbers(20).map(() => world.recorder.one(world.tenant.viewer, event('before'))))
      await world.superuser.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'hyrelog_service' and datname = current_database()`,
      )
      const receipts = await Promise.all(numbers(20).map(() => world.recorder.one(world.tenant.viewer, event('after'))))
      expect(receipts).toHaveLength(20)
      expect(await actionsOf(world)).toHaveLength(41)
    }))

  test('is REGION_UNAVAILABLE within 5 s when it is silent, and again usable afterwards', () =>
    inWorld(async (world) => {
      const { recorder, tenant, proxy } = world
      await proxy.set('hang')
      const startedAt = performance.now()
      const refusals = await Promise.all(numbers(5).map(() => refusalOf(recorder.one(tenant.viewer, event('lost')))))
      expect(performance.now() - startedAt).toBeLessThan(COMMIT_TIMEOUT_MS + 250)
      for (const refusal of refusals) expect(refusal.code).toBe('REGION_UNAVAILABLE')
      await proxy.set('pass')
      expect(await recorder.one(tenant.viewer, event('again'))).toMatchObject({ sequence: 2 })
      expect(await actionsOf(world)).toEqual(['first', 'again'])
    }))

  test('is REGION_UNAVAILABLE within 5 s when somebody else holds the head, and nothing is recorded later', () =>
    inWorld(async (world) => {
      const { recorder, tenant, superuser } = world
      await superuser.query('begin')
      await superuser.query('select from chain_head where workspace_id = $1 for update', [tenant.workspace.id])
      const startedAt = performance.now()
      const refusal = await refusalOf(recorder.one(tenant.viewer, event('late')))
      expect(performance.now() - startedAt).toBeLessThan(COMMIT_TIMEOUT_MS + 250)
      expect(refusal.code).toBe('REGION_UNAVAILABLE')
      await superuser.query('rollback')
      expect(await recorder.one(tenant.viewer, event('again'))).toMatchObject({ sequence: 2 })
      expect(await actionsOf(world)).toEqual(['first', 'again'])
    }))

  test('one that is not configured is REGION_UNAVAILABLE', async () => {
    const databases = await cloneDatabases()
    const recorder = await Recorder.on(databases, vault.path, {
      regionUrls: { AU: databases.regions.AU.databaseUrl },
    })
    const tenant = await recorder.tenant('US')
    expect(await refusalOf(recorder.one(tenant.viewer, event('lost')))).toMatchObject({
      code: 'REGION_UNAVAILABLE',
      details: { regions: ['US'] },
    })
    await recorder.close()
    await databases.drop()
  })
})

describe('limits and shutdown', () => {
  test('what does not fit into the queue is RATE_LIMITED, and the rest is recorded', () =>
    inWorld(
      async (world) => {
        const { recorder, tenant, superuser } = world
        await superuser.query('begin')
        await superuser.query('select from chain_head where workspace_id = $1 for update', [tenant.workspace.id])
        const waiting = numbers(10).map(() => recorder.one(tenant.viewer, event('waiting')))
        // Taken in the order of the calls: the eleventh finds the queue full.
        const refusal = await refusalOf(recorder.one(tenant.viewer, event('too.much')))
        expect(refusal.code).toBe('RATE_LIMITED')
        expect(refusal.details.retryAfterMs).toBeGreaterThan(0)
        await superuser.query('rollback')
        await Promise.all(waiting)
        await recorder.one(tenant.viewer, event('again'))
        expect(await actionsOf(world)).toEqual(['first', ...numbers(10).map(() => 'waiting'), 'again'])
      },
      { waitingEventsMax: 10 },
    ))

  test('drain answers everything that was taken and takes nothing more', () =>
    inWorld(async (world) => {
      const { recorder, tenant, superuser } = world
      await superuser.query(slowCommit(0.3))
      const waiting = [event('slow.commit'), ...numbers(20).map(() => event('waiting'))].map((input) =>
        recorder.one(tenant.viewer, input),
      )
      await untilCommitting(world)
      const drained = recorder.committers.drain()
      expect(await refusalOf(recorder.one(tenant.viewer, event('too.late')))).toMatchObject({
        code: 'REGION_UNAVAILABLE',
      })
      await drained
      // What is settled comes before the next turn of the loop; what isn't, a commit later.
      const pending = new Promise<string>((resolve) => setImmediate(() => resolve('pending')))
      expect(await Promise.race([Promise.all(waiting), pending])).toHaveLength(21)
      expect(await actionsOf(world)).toHaveLength(22)
    }))
})
