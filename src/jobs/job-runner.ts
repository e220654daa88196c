import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '../db/database.js'
import type { JsonObject } from '../kernel/canonical-json.js'
import { deleteLease, leaveLease, renewLease } from './job-lease.store.js'
import {
  type ClaimedRun,
  HOLDER_LOST,
  type JobReport,
  leaseLost,
  stopped,
  STOPPED,
  timedOut,
  wordFor,
} from './job-run.js'
import { endRun, type RunEnding } from './job-run.store.js'
import type { JobContext } from './job.js'

/** How long a run is its process's own without another word, and how often the word is given. */
export interface LeaseTimes {
  readonly leaseMs: number
  readonly renewMs: number
}

export const LEASE_TIMES: LeaseTimes = { leaseMs: 30_000, renewMs: 10_000 }
/** The part of a lease that is kept for stopping: work that can't be renewed ends before others may begin it. */
const STOPPING_SHARE = 1 / 6
/** After a renewal that got no answer, the part of the pause until the next. */
const RETRY_SHARE = 1 / 5
const END_RETRY_MS = 1_000
const END_TIMEOUT_MS = 5_000

export interface JobRunnerDeps {
  readonly control: Database
  readonly times: LeaseTimes
  /** Told of every run once it is over. */
  readonly report: (report: JobReport) => void
}

interface Told {
  processed: number
  place: JsonObject | null
}

export interface Work {
  readonly timeoutMs: number | null
  readonly run: (context: JobContext) => Promise<number>
}

/**
 * Does the work of claimed runs and keeps their leases. A run that must end has its signal aborted and holds its lease
 * until it has really stopped.
 */
export class JobRunner {
  readonly #deps: JobRunnerDeps
  readonly #running = new Map<AbortController, Promise<void>>()
  #stopped = false

  constructor(deps: JobRunnerDeps) {
    this.#deps = deps
  }

  /** Resolves, and never rejects, when the run is over and its row says so. */
  run(claimed: ClaimedRun, work: Work): Promise<JobReport> {
    const abort = new AbortController()
    if (this.#stopped) abort.abort(stopped())
    const report = this.#run(claimed, work, abort)
    const done = report.then(
      () => undefined,
      () => undefined,
    )
    this.#running.set(abort, done)
    return report.finally(() => this.#running.delete(abort))
  }

  /** Aborts what runs and resolves when it has stopped. Runs of ticks are left for another process to go on with. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const abort of this.#running.keys()) abort.abort(stopped())
    await Promise.all(this.#running.values())
  }

  async #run(claimed: ClaimedRun, work: Work, abort: AbortController): Promise<JobReport> {
    const startedMs = performance.now()
    const told: Told = { processed: 0, place: null }
    const lease = new LeaseKeeper(this.#deps, claimed, told, abort)
    const timer = work.timeoutMs === null ? undefined : setTimeout(() => abort.abort(timedOut()), work.timeoutMs)
    let failure: { readonly cause: unknown } | undefined
    try {
      abort.signal.throwIfAborted()
      told.processed = await work.run({
        signal: abort.signal,
        resumeFrom: claimed.resumeFrom,
        progress: (processed, place) => {
          told.processed = processed
          told.place = place ?? told.place
        },
      })
      abort.signal.throwIfAborted()
    } catch (error) {
      // Whatever a driver says of work that was cut short, what matters is why it was.
      failure = { cause: abort.signal.aborted ? (abort.signal.reason as unknown) : error }
    }
    clearTimeout(timer)
    const outcome = failure === undefined ? 'SUCCEEDED' : 'FAILED'
    const word = failure === undefined ? null : wordFor(failure.cause)
    const ending: RunEnding = { runId: claimed.runId, outcome, error: word, ...told }
    const end = await this.#end(ending, claimed.slot !== null, lease)
    await lease.stop()
    const { job, region } = claimed
    const report: JobReport = {
      job,
      region,
      durationMs: Math.round(performance.now() - startedMs),
      processed: told.processed,
      ...(end.noted ? { outcome, word } : { outcome: 'FAILED', word: word ?? HOLDER_LOST, cause: end.cause }),
      ...failure,
    }
    this.#deps.report(report)
    return report
  }

  /** Writes how it ended, for as long as the lease lasts. Not noted where others have closed the run, or will. */
  async #end(
    ending: RunEnding,
    ofTick: boolean,
    lease: LeaseKeeper,
  ): Promise<{ readonly noted: boolean; readonly cause?: unknown }> {
    for (;;) {
      try {
        const noted = await this.#deps.control.transaction({ timeoutMs: END_TIMEOUT_MS }, async (tx) => {
          const isOurs = await endRun(tx, ending)
          if (ending.error === STOPPED && ofTick) await leaveLease(tx, ending.runId)
          else await deleteLease(tx, ending.runId)
          return isOurs
        })
        return { noted }
      } catch (cause) {
        // Nobody can be told now. When the lease is over, somebody else closes the run.
        if (this.#stopped || lease.isOver) return { noted: false, cause }
        await wait(END_RETRY_MS)
      }
    }
  }
}

/** Renews a run's lease until it is told to stop; aborts the run before a lease that can't be renewed is over. */
class LeaseKeeper {
  readonly #stop = new AbortController()
  readonly #kept: Promise<void>
  readonly #times: LeaseTimes
  readonly #abort: AbortController
  #expiry: NodeJS.Timeout | undefined
  #validUntilMs = 0

  constructor(
    { control, times }: JobRunnerDeps,
    { runId, leasedAtMs }: ClaimedRun,
    told: Told,
    abort: AbortController,
  ) {
    this.#times = times
    this.#abort = abort
    this.#heldSince(leasedAtMs)
    this.#kept = this.#keep(control, runId, told)
  }

  get isOver(): boolean {
    return performance.now() >= this.#validUntilMs
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#expiry)
    await this.#kept
  }

  async #keep(control: Database, runId: string, told: Told): Promise<void> {
    const { leaseMs, renewMs } = this.#times
    let pauseMs = renewMs
    for (;;) {
      // The only way it rejects is the stop, which the loop sees by itself.
      await wait(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      if (this.#stop.signal.aborted) return
      const askedMs = performance.now()
      // No answer is no loss yet: there is time for another attempt.
      const held = await renewLease(control, { runId, ...told }, leaseMs, renewMs / 2).catch(() => undefined)
      pauseMs = held === undefined ? renewMs * RETRY_SHARE : renewMs
      if (held === true) this.#heldSince(askedMs)
      else if (held === false) this.#abort.abort(leaseLost())
    }
  }

  #heldSince(ms: number): void {
    this.#validUntilMs = ms + this.#times.leaseMs * (1 - STOPPING_SHARE)
    clearTimeout(this.#expiry)
    if (!this.#stop.signal.aborted)
      this.#expiry = setTimeout(() => this.#abort.abort(leaseLost()), this.#validUntilMs - performance.now())
  }
}
