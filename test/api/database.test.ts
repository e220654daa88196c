import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DatabaseError } from '../../src/db/database-error.js'
import { Database } from '../../src/db/database.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { eventually } from '../harness/eventually.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const company = '0198c000-0000-7000-8000-000000000001'
const stranger = '0198c000-0000-7000-8000-000000000002'
const timeoutMs = 5_000

let databases: ClonedDatabases
let region: Database
let owner: Client

const failureOf = async (promise: Promise<unknown>): Promise<DatabaseError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(DatabaseError)
  return error as DatabaseError
}
const addHead = `insert into chain_head (workspace_id, company_id) values (gen_random_uuid(), $1) returning workspace_id`
const countHeads = async (of = company): Promise<number> =>
  region.transaction({ companies: [of], readOnly: true, timeoutMs }, async (tx) => {
    const [row] = await tx.query<{ n: number }>('select count(*)::integer as n from chain_head')
    return row!.n
  })
/** Process ids of our own connections, but for the owner's. */
const sessions = async (): Promise<number[]> => {
  const { rows } = await owner.query<{ pid: number }>(
    `select pid from pg_stat_activity where datname = current_database() and usename = 'hyrelog_service'`,
  )
  return rows.map((row) => row.pid)
}

beforeAll(async () => {
  databases = await cloneDatabases()
  region = Database.open({ name: 'EU', url: databases.regions.EU.databaseUrl, poolMax: 4 })
  owner = new Client({ connectionString: databases.superuserUrl(databases.regions.EU.name) })
  await owner.connect()
  await owner.query('create table scratch (id integer primary key)')
  await owner.query('grant select, insert on scratch to hyrelog_service')
  await owner.query(`create function doze() returns trigger language plpgsql as
    $$ begin perform pg_sleep(30); return null; end $$`)
  await owner.query('create table slow_commit (id integer)')
  await owner.query(`create constraint trigger doze after insert on slow_commit deferrable initially deferred
    for each row execute function doze()`)
  await owner.query('create table refused_commit (id integer)')
  await owner.query(`create constraint trigger refuse after insert on refused_commit deferrable initially deferred
    for each row execute function refuse_rewrite()`)
  await owner.query('grant select, insert on slow_commit, refused_commit to hyrelog_service')
})
afterAll(async () => {
  await region.close(1_000)
  await owner.end()
  await databases.drop()
})

describe('query', () => {
  it('gives bigint as text, timestamptz as Date, bytea as Buffer', async () => {
    const rows = await region.query(
      `select 1::bigint as big, 'x'::bytea as bytes, '2026-01-01T00:00:00.123Z'::timestamptz as at, $1::text[] as list`,
      [['a', 'b']],
    )
    expect(rows).toEqual([
      { big: '1', bytes: Buffer.from('x'), at: new Date('2026-01-01T00:00:00.123Z'), list: ['a', 'b'] },
    ])
  })

  it('names the broken rule and nothing of the data', async () => {
    await region.query('insert into scratch values (7)')
    const error = await failureOf(region.query('insert into scratch values (7)'))
    expect(error).toMatchObject({ kind: 'unique_violation', code: '23505', constraint: 'scratch_pkey' })
    expect(error.message).not.toContain('7)')
    const invalid = await failureOf(region.query('select $1::uuid', ['jane@example.com']))
    expect(invalid.message).not.toContain('jane')
  })

  it('gives up at its deadline and leaves the pool usable', async () => {
    const begun = performance.now()
    expect(await failureOf(region.query('select pg_sleep(30)', [], { timeoutMs: 200 }))).toMatchObject({
      kind: 'timeout',
    })
    expect(performance.now() - begun).toBeLessThan(2_000)
    expect(await region.query('select 1 as one')).toEqual([{ one: 1 }])
  })

  it('goes on reading after its connections were ended', async () => {
    await Promise.all([1, 2, 3].map(() => region.query('select pg_sleep(0.05)')))
    for (const pid of await sessions()) await owner.query('select pg_terminate_backend($1)', [pid])
    expect(await Promise.all([1, 2, 3].map((n) => region.query('select $1::integer as n', [n])))).toEqual([
      [{ n: 1 }],
      [{ n: 2 }],
      [{ n: 3 }],
    ])
  })

  it('reports a server that is not there as unreachable', async () => {
    const nowhere = Database.open({ name: 'US', url: 'postgres://someone:secret@127.0.0.1:1/nothing' })
    const error = await failureOf(nowhere.query('select 1'))
    expect(error).toMatchObject({ kind: 'unreachable', unavailable: true, code: 'ECONNREFUSED' })
    expect(error.message).not.toContain('secret')
    await nowhere.close(100)
  })

  it('does not create a database that is missing', async () => {
    const url = new URL(databases.regions.EU.ownerUrl)
    url.pathname = '/not_there_at_all'
    const missing = Database.open({ name: 'EU', url: url.href })
    expect(await failureOf(missing.query('select 1'))).toMatchObject({ code: '3D000' })
    await missing.close(100)
  })
})

describe('transaction', () => {
  it('commits what worked and rolls back what threw', async () => {
    const before = await countHeads()
    await region.transaction({ companies: [company], timeoutMs }, (tx) => tx.query(addHead, [company], 'add-head'))
    expect(await countHeads()).toBe(before + 1)
    await expect(
      region.transaction({ companies: [company], timeoutMs }, async (tx) => {
        await tx.query(addHead, [company], 'add-head')
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    expect(await countHeads()).toBe(before + 1)
  })

  it('shows the named companies and forgets them afterwards, on the same connection too', async () => {
    await region.transaction({ companies: [company], timeoutMs }, (tx) => tx.query(addHead, [company]))
    const one = Database.open({ name: 'EU', url: databases.regions.EU.databaseUrl, poolMax: 1 })
    const see = (companies: readonly string[] | undefined): Promise<number> =>
      one.transaction({ ...(companies === undefined ? {} : { companies }), readOnly: true, timeoutMs }, async (tx) => {
        return (await tx.query('select workspace_id from chain_head')).length
      })
    expect(await see([stranger, company])).toBeGreaterThan(0)
    expect(await see([stranger])).toBe(0)
    expect(await see([])).toBe(0)
    expect(await see(undefined)).toBe(0)
    expect(await one.query('select workspace_id from chain_head')).toEqual([])
    await one.close(1_000)
  })

  it('refuses a company id that is no UUID before anything is sent', async () => {
    const injected = region.transaction({ companies: [`${company}'; drop table event; --`], timeoutMs }, (tx) =>
      tx.query('select 1'),
    )
    await expect(injected).rejects.toThrow('UUID')
    expect(await region.query('select 1 as one')).toEqual([{ one: 1 }])
  })

  it('refuses writes when it is read-only', async () => {
    const error = await failureOf(
      region.transaction({ companies: [company], readOnly: true, timeoutMs }, (tx) => tx.query(addHead, [company])),
    )
    expect(error.code).toBe('25006')
  })

  it('fails when a statement failed, even one whose failure was swallowed or never awaited', async () => {
    const swallowed = region.transaction({ timeoutMs }, async (tx) => {
      await tx.query('insert into scratch values (100)')
      await tx.query('insert into scratch values (100)').catch(() => undefined)
      return 'done'
    })
    expect(await failureOf(swallowed)).toMatchObject({ kind: 'unique_violation', commitUnknown: false })
    const unawaited = region.transaction({ timeoutMs }, async (tx) => {
      await tx.query('insert into scratch values (101)')
      void tx.query('insert into scratch values (101)')
      return 'done'
    })
    expect(await failureOf(unawaited)).toMatchObject({ kind: 'unique_violation' })
    expect(await region.query('select id from scratch where id in (100, 101)')).toEqual([])
  })

  it('runs statements sent together in their order', async () => {
    const seen = await region.transaction({ timeoutMs }, async (tx) => {
      const rows = await Promise.all([
        tx.query('insert into scratch values (200)', [], 'ins-200'),
        tx.query('select id from scratch where id = $1', [200], 'sel'),
        tx.query('insert into scratch values (201)'),
        tx.query('select id from scratch where id = $1', [201], 'sel'),
      ])
      return rows.map((row) => row.length)
    })
    expect(seen).toEqual([0, 1, 0, 1])
  })

  it('keeps a connection whose statement failed, prepared ones included', async () => {
    const one = Database.open({ name: 'EU', url: databases.regions.EU.databaseUrl, poolMax: 1 })
    const divide = (by: number): Promise<{ q: number; pid: number }[]> =>
      one.transaction({ readOnly: true, timeoutMs }, (tx) =>
        tx.query('select 10 / $1::integer as q, pg_backend_pid() as pid', [by], 'divide'),
      )
    const [first] = await divide(2)
    expect((await failureOf(divide(0))).code).toBe('22012')
    expect(await divide(5)).toEqual([{ q: 2, pid: first!.pid }])
    await one.close(1_000)
  })

  it('takes a statement that was never prepared, sent behind one that failed, for a lost connection', async () => {
    const single = Database.open({ name: 'EU', url: databases.regions.EU.databaseUrl, poolMax: 1 })
    const ask = (): Promise<object[]> =>
      single.transaction({ timeoutMs }, (tx) => tx.query('select 1 as one', [], 'left_behind'))
    const giveUp = single.transaction({ timeoutMs }, async (tx) => {
      tx.query('select 1 / 0').catch(() => undefined)
      tx.query('select 1 as one', [], 'left_behind').catch(() => undefined)
      throw new Error('the caller gave up')
    })
    try {
      await expect(giveUp).rejects.toThrow('the caller gave up')
      expect(await failureOf(ask())).toMatchObject({ kind: 'unreachable', code: '26000', commitUnknown: false })
      expect(await ask()).toEqual([{ one: 1 }])
    } finally {
      await single.close(1_000)
    }
  })

  it('stops the statement on the server when the time is up', async () => {
    const error = await failureOf(region.transaction({ timeoutMs: 700 }, (tx) => tx.query('select pg_sleep(30), 4711')))
    expect(error).toMatchObject({ kind: 'timeout', commitUnknown: false })
    await eventually('the statement ended', async () => {
      const { rows } = await owner.query(
        `select from pg_stat_activity where state = 'active' and query like '%pg_sleep(30), 4711%' and pid <> pg_backend_pid()`,
      )
      return rows.length === 0
    })
  })

  it('counts the wait for a connection', async () => {
    const one = Database.open({ name: 'EU', url: databases.regions.EU.databaseUrl, poolMax: 1 })
    const release = new AbortController()
    const holder = failureOf(
      one.transaction({ timeoutMs: 20_000, signal: release.signal }, (tx) => tx.query('select pg_sleep(15)')),
    )
    await eventually('the connection is taken', async () => {
      const { rows } = await owner.query(`select from pg_stat_activity where query = 'select pg_sleep(15)'`)
      return rows.length === 1
    })
    const begun = performance.now()
    const error = await failureOf(one.transaction({ timeoutMs: 150 }, (tx) => tx.query('select 1')))
    expect(error.kind).toBe('timeout')
    expect(performance.now() - begun).toBeLessThan(1_500)
    release.abort()
    expect((await holder).kind).toBe('aborted')
    expect(await one.query('select 1 as one')).toEqual([{ one: 1 }])
    await one.close(1_000)
  })

  it('ends with its signal, and rolls back', async () => {
    const abort = new AbortController()
    const running = failureOf(
      region.transaction({ timeoutMs, signal: abort.signal }, async (tx) => {
        await tx.query('insert into scratch values (300)')
        abort.abort()
        await tx.query('insert into scratch values (301)')
      }),
    )
    expect(await running).toMatchObject({ kind: 'aborted', commitUnknown: false })
    await eventually('the rows are gone', async () => {
      return (await region.query('select id from scratch where id in (300, 301)')).length === 0
    })
    const before = AbortSignal.abort()
    expect(
      (await failureOf(region.transaction({ timeoutMs, signal: before }, (tx) => tx.query('select 1')))).kind,
    ).toBe('aborted')
  })

  it('repeats a read whose connection was gone, never a write', async () => {
    let reads = 0
    const pid = await region.transaction({ readOnly: true, timeoutMs }, async (tx) => {
      const [row] = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
      if (reads++ === 0) await owner.query('select pg_terminate_backend($1, 2000)', [row!.pid])
      await tx.query('select 1')
      return row!.pid
    })
    expect(pid).toBeGreaterThan(0)
    expect(reads).toBe(2)
    let writes = 0
    const error = await failureOf(
      region.transaction({ timeoutMs }, async (tx) => {
        writes++
        const [row] = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
        await owner.query('select pg_terminate_backend($1, 2000)', [row!.pid])
        await tx.query('insert into scratch values (400)')
      }),
    )
    expect(error).toMatchObject({ kind: 'unreachable', commitUnknown: false })
    expect(writes).toBe(1)
  })

  it('says that it does not know when the connection is lost during COMMIT', async () => {
    const committing = failureOf(
      region.transaction({ timeoutMs: 20_000 }, (tx) => tx.query('insert into slow_commit values (1)')),
    )
    const pid = await eventually('the commit is running', async () => {
      const { rows } = await owner.query<{ pid: number }>(
        `select pid from pg_stat_activity where usename = 'hyrelog_service' and state = 'active' and query = 'commit'
         and datname = current_database()`,
      )
      return rows[0]?.pid
    })
    await owner.query('select pg_terminate_backend($1)', [pid])
    expect(await committing).toMatchObject({ kind: 'unreachable', commitUnknown: true })
  })

  it('knows that a COMMIT which the server refused did not happen', async () => {
    const refused = region.transaction({ timeoutMs }, (tx) => tx.query('insert into refused_commit values (1)'))
    expect(await failureOf(refused)).toMatchObject({ kind: 'append_only', commitUnknown: false })
    expect(await region.query('select 1 as one')).toEqual([{ one: 1 }])
  })

  it('says that it does not know when the time is up during COMMIT', async () => {
    const error = await failureOf(
      region.transaction({ timeoutMs: 400 }, (tx) => tx.query('insert into slow_commit values (2)')),
    )
    expect(error).toMatchObject({ kind: 'timeout', commitUnknown: true })
  })

  it('leaves no locks behind when its process vanishes without a word', async () => {
    const { databaseUrl } = databases.regions.EU
    const proxy = await TcpProxy.before(databaseUrl)
    const vanishing = Database.open({ name: 'EU', url: proxy.urlFor(databaseUrl), poolMax: 1 })
    const failure = await failureOf(
      vanishing.transaction({ timeoutMs: 1_000 }, async (tx) => {
        await tx.query('insert into scratch values (77)')
        // The server's side of the connection stays open.
        proxy.cut()
        await tx.query('select 1')
      }),
    )
    expect(failure.kind).toBe('unreachable')
    // Waits for the one that vanished to be rolled back.
    const write = region.query('insert into scratch values (77) returning id', [], { timeoutMs: 8_000 })
    expect(await write).toEqual([{ id: 77 }])
    await vanishing.close(1_000)
    await proxy.close()
  })

  it('sends nothing when nothing was asked', async () => {
    expect(await region.transaction({ timeoutMs }, async () => 'idle')).toBe('idle')
  })
})

describe('em', () => {
  it('shares the pool and does not disturb it', async () => {
    const rows: unknown = await region.em().getConnection().execute('select 1 as one')
    expect(rows).toEqual([{ one: 1 }])
    expect(await region.query(`select '2026-01-01T00:00:00Z'::timestamptz as at`)).toEqual([
      { at: new Date('2026-01-01T00:00:00Z') },
    ])
  })
})

describe('close', () => {
  it('ends every connection, and with them nothing keeps the process alive', async () => {
    const idle = Database.open({ name: 'EU', url: databases.regions.EU.databaseUrl, poolMax: 1 })
    const [mine] = await idle.query<{ pid: number }>('select pg_backend_pid() as pid')
    expect(await sessions()).toContain(mine!.pid)
    await idle.close(5_000)
    await eventually('the end of the session', async () => !(await sessions()).includes(mine!.pid))
  })

  it('waits for what runs, queued statements included, and admits nothing more', async () => {
    const closing = Database.open({ name: 'EU', url: databases.regions.EU.databaseUrl, poolMax: 2 })
    const running = Promise.all(Array.from({ length: 10 }, () => closing.query('select pg_sleep(0.05), 1 as one')))
    const closed = closing.close(5_000)
    expect((await failureOf(closing.query('select 1'))).kind).toBe('unreachable')
    expect(await running).toHaveLength(10)
    await closed
    expect((await failureOf(closing.query('select 1'))).kind).toBe('unreachable')
  })

  it('stops waiting when the time is up', async () => {
    const closing = Database.open({ name: 'EU', url: databases.regions.EU.databaseUrl, poolMax: 1 })
    const running = failureOf(closing.query('select pg_sleep(20), 5812', [], { timeoutMs: 1_500 }))
    const begun = performance.now()
    await closing.close(100)
    expect(performance.now() - begun).toBeLessThan(1_000)
    expect((await running).kind).toBe('timeout')
  })
})
