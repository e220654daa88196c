import { spawn } from 'node:child_process'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Database } from '../../src/db/database.js'
import { DatabaseError } from '../../src/db/database-error.js'
import type { JobReport } from '../../src/jobs/job-run.js'
import type { Job } from '../../src/jobs/job.js'
import { Scheduler, type SchedulerOptions } from '../../src/jobs/scheduler.js'
import { expireJobRunsJob } from '../../src/jobs/expire-job-runs.job.js'
import { systemClock } from '../../src/kernel/clock.js'
import type { Region } from '../../src/kernel/region.js'
import { compile } from '../harness/compiled.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { eventually } from '../harness/eventually.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

/*
 * Schedulers that share a control database, each with connections of its own, as processes have.
 */

let databases: ClonedDatabases
let admin: Client
const cleanUps: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  databases = await cloneDatabases()
  admin = new Client({ connectionString: databases.superuserUrl(databases.control.name) })
  await admin.connect()
})
afterAll(async () => {
  await admin.end()
  await databases.drop()
})
beforeEach(async () => {
  await admin.query('truncate job_slot, job_lease, job_run')
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** A schedule that leaves a test alone. */
const NEVER = '0 0 29 2 *'
const EVERY_SECOND = '* * * * * *'
const quick = { leaseMs: 1_500, renewMs: 200 }

const once = (run: (context: Parameters<Job['run']>[0]) => Promise<number>, more: Partial<Job> = {}): Job =>
  ({
    name: 'test-job',
    description: 'A job of this test.',
    schedule: NEVER,
    timeoutMs: 30_000,
    perRegion: false,
    run,
    ...more,
  }) as Job

interface Process {
  readonly scheduler: Scheduler
  readonly reports: JobReport[]
}

/** What one process has; started where it is told. */
function processWith(jobs: readonly Job[], more: Partial<SchedulerOptions> & { url?: string } = {}): Process {
  const { url = databases.control.databaseUrl, ...options } = more
  const control = Database.open({ name: 'CONTROL', url })
  const reports: JobReport[] = []
  const scheduler = new Scheduler(jobs, {
    control,
    clock: systemClock,
    regions: () => ['AU', 'EU'],
    report: (report) => reports.push(report),
    onFailure: () => undefined,
    times: quick,
    watchMs: 100,
    ...options,
  })
  cleanUps.push(async () => {
    await scheduler.stop()
    await control.close(1_000)
  })
  return { scheduler, reports }
}

interface Row {
  readonly region: Region | null
  readonly slot: Date | null
  readonly attempt: number
  readonly outcome: string
  readonly processed: string
  readonly error: string | null
  readonly started_at: Date
  readonly finished_at: Date | null
}
const runs = async (): Promise<Row[]> => (await admin.query<Row>('select * from job_run order by started_at, id')).rows
const leases = async (): Promise<number> => (await admin.query('select from job_lease')).rowCount ?? 0

function gate(): { readonly opened: Promise<number>; open: (processed?: number) => void } {
  let open: (processed?: number) => void = () => undefined
  const opened = new Promise<number>((resolve) => {
    open = (processed = 1) => resolve(processed)
  })
  return { opened, open }
}
const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason))
  })

describe('a tick', () => {
  it('is run by one process, whatever their clocks say', async () => {
    let ran = 0
    const job = once(() => Promise.resolve(++ran), { schedule: EVERY_SECOND })
    // Fast, slow, and right.
    const processes = [60, -300, 0].map((skewMs) =>
      processWith([job], { clock: { now: () => new Date(Date.now() + skewMs) } }),
    )
    for (const { scheduler } of processes) scheduler.start()
    await eventually('three ticks', () => ran >= 3)
    await Promise.all(processes.map(({ scheduler }) => scheduler.stop()))
    const rows = await runs()
    expect(rows).toHaveLength(ran)
    expect(new Set(rows.map((row) => row.slot!.getTime())).size).toBe(rows.length)
    for (const row of rows) expect(row).toMatchObject({ outcome: 'SUCCEEDED', error: null })
    expect(await leases()).toBe(0)
  })

  it('that comes while the run before is going on is skipped, in another process too', async () => {
    const { opened, open } = gate()
    const first = processWith([once(() => opened)])
    const second = processWith([once(() => Promise.reject(new Error('two at a time')))])
    const running = first.scheduler.runNow('test-job')
    await eventually('it runs', async () => (await runs()).length === 1)
    expect(await second.scheduler.runNow('test-job')).toMatchObject({ outcome: 'SKIPPED', word: 'still running' })
    open(7)
    expect(await running).toMatchObject({ outcome: 'SUCCEEDED', processed: 7 })
    expect((await runs()).map(({ outcome, error }) => [outcome, error])).toEqual([
      ['SUCCEEDED', null],
      ['SKIPPED', 'still running'],
    ])
    expect(await second.scheduler.runNow('test-job')).toMatchObject({ outcome: 'FAILED', word: 'failed' })
  })

  it('that nobody was there for is made up for once, the newest only', async () => {
    await admin.query(`insert into job_slot (job, region, slot) values ('test-job', '', '2020-01-01T03:00:00Z')`)
    let ran = 0
    const jobs = [
      once(() => Promise.resolve(++ran), { schedule: '0 3 * * *' }),
      once(() => Promise.reject(new Error('it is new: it has missed nothing')), {
        name: 'new-job',
        schedule: '0 3 * * *',
      }),
    ]
    const processes = [processWith(jobs), processWith(jobs)]
    for (const { scheduler } of processes) scheduler.start()
    await eventually('it was made up for', async () => (await runs())[0]?.outcome === 'SUCCEEDED')
    await eventually('the new job is noted', async () => {
      const { rows } = await admin.query(`select from job_slot where job = 'new-job'`)
      return rows.length === 1
    })
    await Promise.all(processes.map(({ scheduler }) => scheduler.stop()))
    const third = processWith(jobs)
    third.scheduler.start()
    await third.scheduler.stop()
    expect(ran).toBe(1)
    expect(await runs()).toHaveLength(1)
  })

  it('is not missed where it begins between two looks at the clock', async () => {
    const moments = [500, 1_500, 1_500, 2_100]
    const startMs = Date.parse('2026-03-01T12:00:00Z')
    const now = () => new Date(startMs + (moments.length > 1 ? moments.shift()! : moments[0]!))
    const { scheduler } = processWith([once(() => Promise.resolve(1), { schedule: EVERY_SECOND })], { clock: { now } })
    scheduler.start()
    const slots = await eventually('two ticks', async () => {
      const { rows } = await admin.query<{ slot: Date }>('select slot from job_run order by slot')
      return rows.length >= 2 && rows.map(({ slot }) => (slot.getTime() - startMs) / 1_000)
    })
    expect(slots).toEqual([1, 2])
  })

  it('takes place once the control database is back', { timeout: 60_000 }, async () => {
    const proxy = await TcpProxy.before(databases.control.databaseUrl)
    cleanUps.push(() => proxy.close())
    let ran = 0
    const failures: unknown[] = []
    const { scheduler } = processWith([once(() => Promise.resolve(++ran), { schedule: EVERY_SECOND })], {
      url: proxy.urlFor(databases.control.databaseUrl),
      onFailure: (error) => failures.push(error),
    })
    scheduler.start()
    await eventually('it runs', () => ran > 0)
    await proxy.set('refuse')
    await eventually('ticks fail', () => failures.length > 1)
    const before = ran
    await proxy.set('pass')
    // What the cut left open on the server's side holds its locks until the server ends it.
    expect(await eventually('it runs again', () => ran > before, 30_000)).toBe(true)
  })
})

describe('a run', () => {
  it('that takes too long is aborted, and keeps others away until it has stopped', async () => {
    const { opened, open } = gate()
    const reasons: unknown[] = []
    const job = once(
      async ({ signal }) => {
        reasons.push(await aborted(signal))
        return opened
      },
      { timeoutMs: 20 },
    )
    const { scheduler } = processWith([job])
    const other = processWith([once(() => Promise.resolve(1))])
    other.scheduler.start()
    const running = scheduler.runNow('test-job')
    await eventually('its time is up', () => reasons.length === 1)
    expect(reasons[0]).toMatchObject({ word: 'timed out' })
    // Longer than a lease that nobody renews.
    const started = Date.now()
    await eventually('some leases long', () => Date.now() - started > quick.leaseMs * 1.2)
    expect(await other.scheduler.runNow('test-job')).toMatchObject({ outcome: 'SKIPPED' })
    open()
    expect(await running).toMatchObject({ outcome: 'FAILED', word: 'timed out' })
    expect(await other.scheduler.runNow('test-job')).toMatchObject({ outcome: 'SUCCEEDED' })
  })

  it('keeps a word about its failure, and nothing of what the failure says', async () => {
    const failures = [
      new Error('Key (email)=(alice@example.com) already exists'),
      new DatabaseError('EU', 'unreachable', 'no route to alice.internal'),
    ]
    const { scheduler } = processWith([once(() => Promise.reject(failures.shift()!))])
    await scheduler.runNow('test-job')
    await scheduler.runNow('test-job')
    const rows = await runs()
    expect(rows.map((row) => row.error)).toEqual(['failed', 'database unreachable'])
    expect(JSON.stringify(rows)).not.toContain('alice')
  })

  it('tells how far it is while it goes on', async () => {
    const { opened, open } = gate()
    const { scheduler } = processWith([
      once(({ progress }) => {
        progress(41, { at: 'here' })
        return opened
      }),
    ])
    const running = scheduler.runNow('test-job')
    await eventually('progress is kept', async () => (await runs())[0]?.processed === '41')
    open(42)
    await running
    expect(await runs()).toMatchObject([{ processed: '42', progress: { at: 'here' } }])
  })

  it('of a process that is killed is closed, and another process takes the work over where it was', async () => {
    const module = compile('jobs/scheduler.ts')
    cleanUps.push(async () => module.remove())
    const script = `
      const { Scheduler } = await import(${JSON.stringify(module.url)})
      const { Database } = await import(${JSON.stringify(module.url.replace('jobs/scheduler.js', 'db/database.js'))})
      const control = Database.open({ name: 'CONTROL', url: ${JSON.stringify(databases.control.databaseUrl)} })
      const job = { name: 'test-job', description: '', schedule: '${EVERY_SECOND}', timeoutMs: 60000, perRegion: false,
        run: async ({ progress }) => { progress(5, { last: 5 }); await new Promise(() => setInterval(() => undefined, 1000)) } }
      new Scheduler([job], { control, clock: { now: () => new Date() }, regions: () => [], report: () => undefined,
        onFailure: (error) => console.error(error), times: ${JSON.stringify(quick)} }).start()
      setInterval(() => undefined, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    cleanUps.push(async () => child.kill('SIGKILL'))
    await eventually('the other process runs it', async () => (await runs())[0]?.processed === '5', 20_000)
    child.kill('SIGKILL')
    const { rows } = await admin.query<{ slot: Date }>('select max(slot) as slot from job_slot')
    // Its later ticks were skipped; only the work of the newest is taken over.
    await admin.query('delete from job_slot where slot > (select slot from job_run where outcome = $1)', ['RUNNING'])
    expect(rows[0]!.slot).toBeInstanceOf(Date)
    const places: unknown[] = []
    const { scheduler } = processWith([
      once(({ resumeFrom }) => {
        places.push(resumeFrom)
        return Promise.resolve(9)
      }),
    ])
    scheduler.start()
    await eventually('it is taken over', async () => (await leases()) === 0)
    expect(places).toEqual([{ last: 5 }])
    const [lost, ...later] = await runs()
    expect(lost).toMatchObject({ outcome: 'FAILED', error: 'holder lost', processed: '5', attempt: 1 })
    expect(later.filter((row) => row.outcome !== 'SKIPPED')).toMatchObject([
      { outcome: 'SUCCEEDED', processed: '9', attempt: 2, slot: lost!.slot },
    ])
  })

  it('whose process can not renew its lease ends before another begins the same', async () => {
    const proxy = await TcpProxy.before(databases.control.databaseUrl)
    cleanUps.push(() => proxy.close())
    let endedAt = 0
    const cutOff = processWith(
      [
        once(async ({ signal }) => {
          await aborted(signal)
          endedAt = Date.now()
          return 0
        }),
      ],
      { url: proxy.urlFor(databases.control.databaseUrl) },
    )
    let begunAt = 0
    const other = processWith([
      once(() => {
        begunAt = Date.now()
        return Promise.resolve(1)
      }),
    ])
    const running = cutOff.scheduler.runNow('test-job')
    await eventually('it runs', async () => (await runs()).length === 1)
    await proxy.set('hang')
    await eventually('another has it', async () => (await other.scheduler.runNow('test-job')).outcome === 'SUCCEEDED')
    expect(endedAt).toBeGreaterThan(0)
    expect(begunAt).toBeGreaterThanOrEqual(endedAt)
    await proxy.set('pass')
    expect(await running).toMatchObject({ outcome: 'FAILED', word: 'lease lost' })
    expect((await runs())[0]).toMatchObject({ outcome: 'FAILED', error: 'holder lost' })
  })

  it('that an orderly stop cuts short is gone on with by another process', async () => {
    await admin.query(`insert into job_slot (job, region, slot) values ('test-job', '', '2020-01-01T03:00:00Z')`)
    const begun: unknown[] = []
    const first = processWith([
      once(
        async ({ signal, progress }) => {
          begun.push(null)
          progress(3, { last: 3 })
          await aborted(signal)
          return 3
        },
        { schedule: '0 3 * * *' },
      ),
    ])
    first.scheduler.start()
    await eventually('it runs', () => begun.length === 1)
    await first.scheduler.stop()
    expect(await runs()).toMatchObject([{ outcome: 'FAILED', error: 'stopped' }])
    const second = processWith([
      once(
        ({ resumeFrom }) => {
          begun.push(resumeFrom)
          return Promise.resolve(4)
        },
        { schedule: '0 3 * * *' },
      ),
    ])
    second.scheduler.start()
    await eventually('it goes on', async () => (await runs())[1]?.outcome === 'SUCCEEDED')
    expect(begun).toEqual([null, { last: 3 }])
    expect(await leases()).toBe(0)
  })
})

describe('a job with runs per region', () => {
  const perRegion = (run: (region: Region) => Promise<number>, more: Partial<Job> = {}) =>
    ({
      ...once(() => Promise.resolve(0)),
      perRegion: true,
      run: ({ region }: { region: Region }) => run(region),
      ...more,
    }) as Job

  it('goes on in the others where one region fails', async () => {
    const job = perRegion((region) => (region === 'AU' ? Promise.reject(new Error('AU')) : Promise.resolve(3)), {
      schedule: EVERY_SECOND,
    })
    const { scheduler } = processWith([job])
    scheduler.start()
    await eventually('both had their turn', async () => {
      const rows = await runs()
      return (['AU', 'EU'] as const).every((region) => rows.some((row) => row.region === region && row.finished_at))
    })
    await scheduler.stop()
    for (const row of await runs())
      expect(row).toMatchObject(
        row.region === 'AU' ? { outcome: 'FAILED', error: 'failed' } : { outcome: 'SUCCEEDED', processed: '3' },
      )
  })

  it('is started for all regions as one run over theirs', async () => {
    const { scheduler } = processWith([
      perRegion((region) => (region === 'AU' ? Promise.reject(new Error('AU')) : Promise.resolve(3))),
    ])
    expect(await scheduler.runNow('test-job')).toMatchObject({
      outcome: 'FAILED',
      word: 'regions failed',
      processed: 3,
    })
    expect(await scheduler.runNow('test-job', 'EU')).toMatchObject({ outcome: 'SUCCEEDED', processed: 3 })
    const outcomes = (await runs()).map((row) => `${row.region} ${row.outcome}`)
    const byText = (a: string, b: string) => (a < b ? -1 : 1)
    expect(outcomes.toSorted(byText)).toEqual(['AU FAILED', 'EU SUCCEEDED', 'EU SUCCEEDED', 'null FAILED'])
  })
})

describe('schedules of the configuration', () => {
  it('take the place of the jobs’ own; names that are none are told', () => {
    const { scheduler } = processWith([once(() => Promise.resolve(0))], {
      schedules: { 'test-job': '*/7 * * * *', 'no-job': '* * * * *' },
    })
    expect(scheduler.jobs.get('test-job')!.schedule.pattern).toBe('*/7 * * * *')
    expect(scheduler.problems).toEqual(['there is no job no-job; there are test-job.'])
  })

  it('are refused where they are none', () => {
    expect(() => processWith([once(() => Promise.resolve(0), { schedule: 'often' })])).toThrow(TypeError)
  })
})

it('forgets old runs and ticks, and keeps the newest tick of each job', async () => {
  await admin.query(
    `insert into job_run (id, job, outcome, started_at, finished_at)
     select gen_random_uuid(), 'test-job', 'SUCCEEDED', at, at from unnest(array[now() - interval '31 days', now() - interval '29 days']) at`,
  )
  await admin.query(
    `insert into job_slot (job, region, slot) values ('test-job', '', now() - interval '50 days'), ('test-job', '', now() - interval '40 days')`,
  )
  const control = Database.open({ name: 'CONTROL', url: databases.control.databaseUrl })
  cleanUps.push(() => control.close(1_000))
  const { scheduler } = processWith([expireJobRunsJob({ control, clock: systemClock })])
  expect(await scheduler.runNow('expire-job-runs')).toMatchObject({ outcome: 'SUCCEEDED', processed: 2 })
  expect((await runs()).filter((row) => row.outcome === 'SUCCEEDED')).toHaveLength(2)
  const { rows } = await admin.query(`select slot > now() - interval '45 days' as newest from job_slot`)
  expect(rows).toEqual([{ newest: true }])
})
