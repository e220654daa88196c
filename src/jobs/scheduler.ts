import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '../db/database.js'
import type { Transaction } from '../db/pooled-transaction.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import { type Claim, claimRun, claimTick, takeOver } from './claim-run.js'
import { findEndedLeases } from './job-lease.store.js'
import { type ClaimedRun, type JobReport, regionsFailed, STILL_RUNNING } from './job-run.js'
import { JobRunner, LEASE_TIMES, type LeaseTimes, type Work } from './job-runner.js'
import type { Job, JobContext } from './job.js'
import { parseSchedule, type Schedule } from './schedule.js'

const CLAIM_TIMEOUT_MS = 5_000
/** After a tick that could not be taken because the control database did not answer. */
const RETRY_MS = 2_000
/** How often leases that are over are looked for. */
const WATCH_MS_DEFAULT = 5_000
// A timer does not see that the clock was set; and longer than 24 days it can't be.
const SLEEP_MS_MAX = 30_000

export interface SchedulerOptions {
  readonly control: Database
  readonly clock: Clock
  /** The regions that jobs with runs per region run for, asked anew at each tick. */
  readonly regions: () => readonly Region[]
  /** Every run is reported once it is over, failures and skipped ones included. */
  readonly report: (report: JobReport) => void
  /** Told where the control database could not be asked; it is tried again. */
  readonly onFailure: (error: unknown) => void
  /** Schedules other than the jobs' own, by the name of the job. */
  readonly schedules?: Readonly<Record<string, string>>
  readonly times?: LeaseTimes
  readonly watchMs?: number
}

/** A job with the schedule it follows here. */
export interface ScheduledJob {
  readonly job: Job
  readonly schedule: Schedule
}

/**
 * Runs jobs by their schedules. Each tick is run by one process of all that share a control database, and never two runs
 * of one job (and region) at a time. A tick that nobody was there for is made up for once, the newest only; the work of
 * a process that died is taken over.
 */
export class Scheduler {
  readonly jobs: ReadonlyMap<string, ScheduledJob>
  /** Schedules that name no job. */
  readonly problems: readonly string[]
  readonly #options: SchedulerOptions
  readonly #times: LeaseTimes
  readonly #runner: JobRunner
  readonly #stop = new AbortController()
  readonly #loops: Promise<void>[] = []
  readonly #work = new Set<Promise<unknown>>()

  /** Throws where two jobs have one name, or a schedule is none. */
  constructor(jobs: readonly Job[], options: SchedulerOptions) {
    const { schedules = {}, control, report, times = LEASE_TIMES } = options
    const scheduled = new Map<string, ScheduledJob>()
    for (const job of jobs) {
      if (scheduled.has(job.name)) throw new Error(`two jobs are called ${job.name}`)
      scheduled.set(job.name, { job, schedule: parseSchedule(schedules[job.name] ?? job.schedule) })
    }
    this.jobs = scheduled
    this.problems = Object.keys(schedules)
      .filter((name) => !scheduled.has(name))
      .map((name) => `there is no job ${name}; there are ${[...scheduled.keys()].toSorted().join(', ')}.`)
    this.#options = options
    this.#times = times
    this.#runner = new JobRunner({ control, times, report })
  }

  /** Begins to follow the schedules and to look after what other processes left. */
  start(): void {
    for (const one of this.jobs.values()) this.#loops.push(this.#follow(one))
    this.#loops.push(this.#watch())
  }

  /** Begins no run any more, aborts those under way, and resolves when they have stopped. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#runner.stop()
    await Promise.all(this.#loops)
    await Promise.all(this.#work)
  }

  /**
   * Notes a run that somebody wants now, inside the caller's transaction; {@link begin} begins it once that is committed.
   * `region` null is all regions, for a job that has runs per region: one run over theirs.
   */
  claim(tx: Transaction, job: Job, region: Region | null): Promise<Claim> {
    return claimRun(tx, { job: job.name, region, slot: null }, this.#times.leaseMs)
  }

  /** Does what was claimed; resolves, and never rejects, when it is over: at once for what was skipped. */
  begin(job: Job, region: Region | null, claim: Claim): Promise<JobReport> {
    if ('claimed' in claim) return this.#begin(job, claim.claimed)
    const { name } = job
    const outcome = { outcome: 'SKIPPED', durationMs: 0, processed: 0, word: STILL_RUNNING } as const
    const report: JobReport = { job: name, region, ...outcome }
    this.#options.report(report)
    return Promise.resolve(report)
  }

  /** Claims and does a run now, whatever the schedule says; for a job and region that are running, the skipped one. */
  async runNow(name: string, region: Region | null = null): Promise<JobReport> {
    const scheduled = this.jobs.get(name)
    if (scheduled === undefined) throw new Error(`no job is called ${name}`)
    const { job } = scheduled
    const claim = await this.#transact((tx) => this.claim(tx, job, region))
    return this.begin(job, region, claim)
  }

  #begin(job: Job, claimed: ClaimedRun): Promise<JobReport> {
    const report = this.#runner.run(claimed, this.#workOf(job, claimed.region))
    this.#work.add(report)
    // It never rejects.
    void report.finally(() => this.#work.delete(report))
    return report
  }

  #workOf(job: Job, region: Region | null): Work {
    const { timeoutMs } = job
    if (!job.perRegion) return { timeoutMs, run: job.run }
    if (region !== null) return { timeoutMs, run: (context) => job.run({ ...context, region }) }
    return { timeoutMs: null, run: (context) => this.#runEverywhere(job, context) }
  }

  /** A run of all regions: one of each, with a row of its own. */
  async #runEverywhere(job: Job, { progress }: JobContext): Promise<number> {
    const outcomes = await Promise.allSettled(this.#options.regions().map((region) => this.runNow(job.name, region)))
    const reports = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const processed = reports.reduce((sum, report) => sum + report.processed, 0)
    progress(processed)
    const failed = reports.length < outcomes.length || reports.some(({ outcome }) => outcome === 'FAILED')
    if (failed) throw regionsFailed()
    return processed
  }

  async #follow({ job, schedule }: ScheduledJob): Promise<void> {
    const { clock } = this.#options
    let settled: Date | null = null
    let starting = true
    while (!this.#stop.signal.aborted) {
      const now = clock.now()
      const slot = schedule.latestSlot(now)
      if (slot !== null && (settled === null || slot > settled)) {
        if (!(await this.#tick(job, slot, starting))) {
          await this.#pause(RETRY_MS)
          continue
        }
        settled = slot
      }
      starting = false
      // After the moment that was looked at, not after this one: a slot may have begun between the two.
      const next = schedule.nextSlot(now)
      await this.#pause(next === null ? SLEEP_MS_MAX : next.getTime() - clock.now().getTime())
    }
  }

  /** Takes the tick for every region it is for, unless others have, and begins the runs. False: try again. */
  async #tick(job: Job, slot: Date, starting: boolean): Promise<boolean> {
    const regions = job.perRegion ? this.#options.regions() : [null]
    const taken = await Promise.all(
      regions.map(async (region) => {
        try {
          const tick = { job: job.name, region, slot, unlessNew: starting }
          const claim = await this.#transact((tx) => claimTick(tx, tick, this.#times.leaseMs))
          if (claim !== null) void this.begin(job, region, claim)
          return true
        } catch (error) {
          if (!this.#stop.signal.aborted) this.#options.onFailure(error)
          return false
        }
      }),
    )
    return taken.every(Boolean)
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        for (const { job, region } of await findEndedLeases(this.#options.control)) await this.#takeOver(job, region)
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#options.onFailure(error)
      }
      await this.#pause(this.#options.watchMs ?? WATCH_MS_DEFAULT)
    }
  }

  async #takeOver(name: string, region: Region | null): Promise<void> {
    const job = this.jobs.get(name)?.job
    // A newer version's job is that version's to look after.
    if (job === undefined || this.#stop.signal.aborted) return
    const claimed = await this.#transact((tx) => takeOver(tx, name, region, this.#times.leaseMs))
    if (claimed !== null) void this.#begin(job, claimed)
  }

  #transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#options.control.transaction({ timeoutMs: CLAIM_TIMEOUT_MS }, work)
  }

  async #pause(ms: number): Promise<void> {
    const limited = Math.min(Math.max(ms, 0), SLEEP_MS_MAX)
    // The only way it rejects is the stop, which every loop sees by itself.
    await wait(limited, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined)
  }
}
