import { expect, test, vi } from 'vitest'
import type { Job } from './job.js'
import { Scheduler, type JobReport } from './scheduler.js'

function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

const job = (run: Job['run'], more: Partial<Job> = {}): Job => ({
  name: 'test-job',
  description: 'A job of this test.',
  pattern: '0 3 * * *',
  timeoutMs: 10_000,
  run,
  ...more,
})

function scheduled(one: Job): { scheduler: Scheduler; reports: JobReport[] } {
  const reports: JobReport[] = []
  return { scheduler: new Scheduler([one], (report) => reports.push(report)), reports }
}

test('a job never overlaps itself; the tick between is reported as skipped', async () => {
  const { opened, open } = gate()
  let runs = 0
  const { scheduler, reports } = scheduled(
    job(async () => {
      runs++
      await opened
    }),
  )
  const first = scheduler.run('test-job')
  await scheduler.run('test-job')
  open()
  await first
  expect(runs).toBe(1)
  expect(reports.map((report) => report.outcome)).toEqual(['skipped', 'succeeded'])
})

test('a run that takes too long is aborted, and holds its place until it has stopped', async () => {
  const { opened, open } = gate()
  const aborted = gate()
  const { scheduler, reports } = scheduled(
    job(
      async (signal) => {
        signal.addEventListener('abort', () => aborted.open())
        await aborted.opened
        await opened
      },
      { timeoutMs: 5 },
    ),
  )
  const run = scheduler.run('test-job')
  await aborted.opened
  await scheduler.run('test-job')
  expect(reports.map((report) => report.outcome)).toEqual(['skipped'])
  open()
  await run
  expect(reports.map((report) => report.outcome)).toEqual(['skipped', 'failed'])
})

test('a failure is reported and the next run takes place', async () => {
  let runs = 0
  const failure = new Error('no')
  const { scheduler, reports } = scheduled(
    job(async () => {
      if (++runs === 1) throw failure
      return Promise.resolve()
    }),
  )
  await scheduler.run('test-job')
  await scheduler.run('test-job')
  expect(reports).toMatchObject([{ outcome: 'failed', error: failure }, { outcome: 'succeeded' }])
})

test('stop aborts what runs, waits for it, and begins nothing more', async () => {
  let stopped = false
  const { scheduler } = scheduled(
    job(
      (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () =>
            setImmediate(() => {
              stopped = true
              resolve()
            }),
          )
        }),
    ),
  )
  const run = scheduler.run('test-job')
  await scheduler.stop()
  expect(stopped).toBe(true)
  await run
  await expect(scheduler.run('test-job')).resolves.toBeUndefined()
})

test('patterns are read in UTC', () => {
  // Where 01:00 UTC is ten in the morning.
  vi.stubEnv('TZ', 'Asia/Tokyo')
  vi.useFakeTimers({ now: new Date('2026-03-29T00:59:59.500Z') })
  try {
    let runs = 0
    const { scheduler } = scheduled(
      job(
        () => {
          runs++
          return Promise.resolve()
        },
        { pattern: '0 1 29 3 *' },
      ),
    )
    scheduler.start()
    expect(runs).toBe(0)
    vi.advanceTimersByTime(1_000)
    expect(runs).toBe(1)
    return scheduler.stop()
  } finally {
    vi.useRealTimers()
    vi.unstubAllEnvs()
  }
})
