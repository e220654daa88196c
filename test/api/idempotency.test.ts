import { createHash } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { idempotencyExpiryJob } from '../../src/events/idempotency-expiry.job.js'
import type { IngestInput } from '../../src/events/ingest-input.js'
import { verifiedChain } from '../harness/chain.js'
import type { Region } from '../../src/kernel/region.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { makeVaultFolder, Recorder, refusalOf, type Tenant } from '../harness/recorder.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

let databases: ClonedDatabases
let vault: Awaited<ReturnType<typeof makeVaultFolder>>
let first: Recorder
let second: Recorder
let superuser: Client

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const event = (key: string | null, more: Partial<IngestInput> = {}): IngestInput => ({
  action: 'order.paid',
  category: 'billing',
  payload: { amount: 12.5, items: [{ id: 'a', n: 1 }] },
  idempotencyKey: key,
  ...more,
})

beforeAll(async () => {
  databases = await cloneDatabases()
  vault = await makeVaultFolder()
  first = await Recorder.on(databases, vault.path)
  second = await Recorder.on(databases, vault.path)
  superuser = new Client({ connectionString: databases.superuserUrl(databases.regions.EU.name) })
  await superuser.connect()
})
afterAll(async () => {
  await first.close()
  await second.close()
  await superuser.end()
  await databases.drop()
  await vault.remove()
})

const chainOf = (tenant: Tenant) => verifiedChain(first.database('EU'), tenant.workspace)

describe('repeats', () => {
  test('20 parallel repeats over two processes make one event', async () => {
    const tenant = await first.tenant()
    const receipts = await Promise.all(
      numbers(20).map((n) => (n % 2 === 0 ? first : second).one(tenant.viewer, event('once'))),
    )
    const [stored, ...others] = await chainOf(tenant)
    expect(others).toEqual([])
    expect(receipts.filter((receipt) => !receipt.replayed)).toHaveLength(1)
    for (const receipt of receipts) {
      expect(receipt).toMatchObject({ eventId: stored!.id, sequence: 1, region: 'EU', status: 'RECORDED' })
      expect(receipt.hash.equals(stored!.hash)).toBe(true)
    }
  })

  test('a later repeat answers the first receipt, though times and member order differ', async () => {
    const tenant = await first.tenant()
    const receipt = await first.one(tenant.viewer, event('later'))
    await first.one(tenant.viewer, event(null))
    const repeat = await second.one(
      tenant.viewer,
      event('later', { payload: { items: [{ n: 1, id: 'a' }], amount: 12.5 }, metadata: null }),
    )
    expect(repeat).toEqual({ ...receipt, replayed: true })
    expect(await chainOf(tenant)).toHaveLength(2)
  })

  test('events without a key are never repeats', async () => {
    const tenant = await first.tenant()
    await Promise.all(numbers(5).map(() => first.one(tenant.viewer, event(null))))
    expect(await chainOf(tenant)).toHaveLength(5)
  })

  test('a key is of its workspace alone', async () => {
    const tenant = await first.tenant()
    const sibling = await first.workspace(tenant.company)
    const viewer = await first.viewer(tenant.company, sibling)
    const one = await first.one(tenant.viewer, event('mine'))
    const other = await first.one(viewer, event('mine', { payload: { other: true } }))
    expect(other).toMatchObject({ sequence: 1, replayed: false })
    expect(other.eventId).not.toBe(one.eventId)
  })

  test('a batch sent twice in parallel is recorded once, each event in its place', async () => {
    const tenant = await first.tenant()
    const inputs = numbers(50).map((n) => event(`b-${n}`, { payload: { n } }))
    const [one, two] = await Promise.all([first.many(tenant.viewer, inputs), second.many(tenant.viewer, inputs)])
    expect(one.map((receipt) => receipt.sequence)).toEqual(numbers(50).map((n) => n + 1))
    expect(two.map((receipt) => receipt.eventId)).toEqual(one.map((receipt) => receipt.eventId))
    expect(new Set([...one, ...two].map((receipt) => receipt.replayed))).toEqual(new Set([true, false]))
    expect(await chainOf(tenant)).toHaveLength(50)
  })

  test('a batch that repeats some records the others, in order', async () => {
    const tenant = await first.tenant()
    const known = await first.one(tenant.viewer, event('known'))
    const receipts = await first.many(tenant.viewer, [event('new-1'), event('known'), event(null), event('new-1')])
    expect(receipts.map(({ sequence, replayed }) => ({ sequence, replayed }))).toEqual([
      { sequence: 2, replayed: false },
      { sequence: 1, replayed: true },
      { sequence: 3, replayed: false },
      { sequence: 2, replayed: true },
    ])
    expect(receipts[1]!.eventId).toBe(known.eventId)
    expect(receipts[3]!.eventId).toBe(receipts[0]!.eventId)
    expect(await chainOf(tenant)).toHaveLength(3)
  })
})

describe('conflicts', () => {
  test('other content is IDEMPOTENCY_CONFLICT and records nothing', async () => {
    const tenant = await first.tenant()
    await first.one(tenant.viewer, event('k'))
    const refusal = await refusalOf(second.one(tenant.viewer, event('k', { payload: { amount: 12.51 } })))
    expect(refusal).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', details: { field: 'idempotencyKey' } })
    expect(await chainOf(tenant)).toHaveLength(1)
  })

  test('a call with one conflict records none of its events', async () => {
    const tenant = await first.tenant()
    await first.one(tenant.viewer, event('k'))
    const inputs = [event('a'), event('b'), event('k', { action: 'order.refunded' })]
    const refusal = await refusalOf(first.many(tenant.viewer, inputs))
    expect(refusal).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', details: { field: 'events[2].idempotencyKey' } })
    expect(await chainOf(tenant)).toHaveLength(1)
    // Its other keys were never used.
    expect(await first.one(tenant.viewer, event('a', { action: 'another' }))).toMatchObject({ replayed: false })
  })

  test('one key twice in a call, with two contents, records nothing', async () => {
    const tenant = await first.tenant()
    const refusal = await refusalOf(first.many(tenant.viewer, [event('k'), event('k', { traceId: 't' })]))
    expect(refusal).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', details: { field: 'events[1].idempotencyKey' } })
    expect(await chainOf(tenant)).toEqual([])
  })

  test('of two contents that race for a key one wins and all repeats of the other are refused', async () => {
    const tenant = await first.tenant()
    const outcomes = await Promise.allSettled(
      numbers(20).map((n) =>
        (n % 4 < 2 ? first : second).one(tenant.viewer, event('race', { payload: { side: n % 2 } })),
      ),
    )
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(10)
    expect(await chainOf(tenant)).toHaveLength(1)
  })

  test('a conflict does not touch the requests that are committed with it', async () => {
    const tenant = await first.tenant()
    await first.one(tenant.viewer, event('k'))
    const outcomes = await Promise.allSettled(
      numbers(30).map((n) => first.one(tenant.viewer, n === 11 ? event('k', { action: 'x' }) : event(`free-${n}`))),
    )
    expect(outcomes.map((outcome) => outcome.status)).toEqual(
      numbers(30).map((n) => (n === 11 ? 'rejected' : 'fulfilled')),
    )
    expect(await chainOf(tenant)).toHaveLength(30)
  })

  test('a unique index stands behind it', async () => {
    const tenant = await first.tenant()
    await first.one(tenant.viewer, event('unique'))
    await expect(
      superuser.query(
        `insert into idempotency_key select workspace_id, company_id, key_digest, fingerprint, 99, now()
         from idempotency_key where workspace_id = $1`,
        [tenant.workspace.id],
      ),
    ).rejects.toMatchObject({ code: '23505' })
  })
})

test('neither key nor content can be read or guessed from what is stored', async () => {
  const tenant = await first.tenant()
  await first.one(tenant.viewer, event('secret-key-7'))
  const { rows } = await superuser.query<Record<string, unknown>>(
    'select * from idempotency_key where workspace_id = $1',
    [tenant.workspace.id],
  )
  expect(rows).toHaveLength(1)
  const row = rows[0] as { key_digest: Buffer; fingerprint: Buffer }
  const plain = ['secret-key-7', `${tenant.workspace.id}secret-key-7`, `key\0${tenant.workspace.id}\0secret-key-7`]
  for (const text of plain) expect(row.key_digest.equals(createHash('sha256').update(text).digest())).toBe(false)
  expect(JSON.stringify(row)).not.toContain('secret-key-7')
})

describe('expiry', () => {
  const age = (tenant: Tenant, hours: number) =>
    superuser.query(`update idempotency_key set created_at = now() - $2 * interval '1 hour' where workspace_id = $1`, [
      tenant.workspace.id,
      hours,
    ])
  const never = new AbortController().signal
  const expire = (recorder: Recorder, region: Region = 'EU', signal = never) => {
    const job = idempotencyExpiryJob({
      registry: recorder.registry,
      companyIds: async () =>
        (await recorder.control.query<{ id: string }>('select id from company')).map((row) => row.id),
      clock: recorder.clock,
    })
    if (!job.perRegion) throw new Error('each region has runs of its own')
    return job.run({ region, signal, progress: () => undefined, resumeFrom: null })
  }

  test('a key is kept for 24 hours and dropped by the next hourly run', async () => {
    const young = await first.tenant()
    const old = await first.tenant()
    for (const tenant of [young, old]) await first.one(tenant.viewer, event('k'))
    await age(young, 23.9)
    await age(old, 24.1)
    await expire(first)
    expect(await first.one(young.viewer, event('k'))).toMatchObject({ sequence: 1, replayed: true })
    expect(await first.one(old.viewer, event('k'))).toMatchObject({ sequence: 2, replayed: false })
  })

  test('more than one transaction takes are all dropped', async () => {
    const tenant = await first.tenant()
    await superuser.query(
      `insert into idempotency_key select $1, $2, decode(lpad(to_hex(n), 64, '0'), 'hex'), decode(repeat('00', 32), 'hex'), 1, now() - interval '2 days'
       from generate_series(1, 12000) n`,
      [tenant.workspace.id, tenant.company.id],
    )
    await expire(first)
    const { rows } = await superuser.query('select from idempotency_key where workspace_id = $1', [tenant.workspace.id])
    expect(rows).toEqual([])
  })

  test('a region that is down fails its own run, and the others have theirs', async () => {
    const own = await cloneDatabases()
    const proxy = await TcpProxy.before(own.regions.AU.databaseUrl)
    const urls = { EU: own.regions.EU.databaseUrl, AU: proxy.urlFor(own.regions.AU.databaseUrl) }
    const recorder = await Recorder.on(own, vault.path, { regionUrls: urls })
    const admin = new Client({ connectionString: own.superuserUrl(own.regions.EU.name) })
    await admin.connect()
    const tenant = await recorder.tenant('EU')
    await recorder.one(tenant.viewer, event('k'))
    await admin.query(`update idempotency_key set created_at = now() - interval '2 days'`)
    await proxy.set('refuse')
    await expect(expire(recorder, 'AU')).rejects.toMatchObject({ kind: 'unreachable' })
    expect(await expire(recorder)).toBe(1)
    expect(await recorder.one(tenant.viewer, event('k'))).toMatchObject({ sequence: 2, replayed: false })
    await recorder.close()
    await proxy.close()
    await admin.end()
    await own.drop()
  })

  test('a run that is aborted stops', async () => {
    await expect(expire(first, 'EU', AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop')
  })
})
