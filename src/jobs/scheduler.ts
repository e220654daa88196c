import { Cron } from 'croner'
import type { Job } from './job.js'

/** One run of a job, when it is over. */
export interface JobReport {
  readonly job: string
  readonly durationMs: number
  /** `skipped`: the run before was still going. */
  readonly outcome: 'succeeded' | 'failed' | 'skipped'
  readonly error?: unknown
}

/**
 * Runs jobs by their patterns, in UTC. A job never overlaps itself: a tick that comes while it runs is reported and
 * skipped. A run that exceeds its time has its signal aborted and still holds its place until it has really stopped.
 */
export class Scheduler {
  readonly #jobs = new Map<string, Job>()
  readonly #crons: Cron[] = []
  readonly #running = new Map<string, { readonly abort: AbortController; readonly done: Promise<void> }>()
  readonly #report: (report: JobReport) => void
  #stopped = false

  /** Every run is reported once it is over, failures included; nothing else hears of them. */
  constructor(jobs: readonly Job[], report: (report: JobReport) => void) {
    for (const job of jobs) {
      if (this.#jobs.has(job.name)) throw new Error(`two jobs are called ${job.name}`)
      this.#jobs.set(job.name, job)
    }
    this.#report = report
  }

  /** Begins to follow the patterns. Throws where one is no pattern. */
  start(): void {
    for (const job of this.#jobs.values())
      this.#crons.push(new Cron(job.pattern, { timezone: 'UTC', unref: true }, () => this.run(job.name)))
  }

  /** Runs a job now, unless it is running; resolves when this run is over and reported. */
  run(name: string): Promise<void> {
    const job = this.#jobs.get(name)
    if (job === undefined) throw new Error(`no job is called ${name}`)
    if (this.#stopped) return Promise.resolve()
    if (this.#running.has(name)) {
      this.#report({ job: name, durationMs: 0, outcome: 'skipped' })
      return Promise.resolve()
    }
    const abort = new AbortController()
    const done = this.#runOnce(job, abort)
    this.#running.set(name, { abort, done })
    return done
  }

  /** Begins no run any more, aborts those under way, and resolves when they have stopped. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const cron of this.#crons) cron.stop()
    for (const { abort } of this.#running.values()) abort.abort(new Error('the server is shutting down'))
    await Promise.all([...this.#running.values()].map(({ done }) => done))
  }

  async #runOnce(job: Job, abort: AbortController): Promise<void> {
    const startedAt = performance.now()
    const timer = setTimeout(
      () => abort.abort(new Error(`${job.name} took longer than ${job.timeoutMs} ms`)),
      job.timeoutMs,
    )
    let failure: { readonly error: unknown } | undefined
    try {
      await job.run(abort.signal)
      abort.signal.throwIfAborted()
    } catch (error) {
      failure = { error }
    }
    clearTimeout(timer)
    this.#running.delete(job.name)
    const durationMs = Math.round(performance.now() - startedAt)
    this.#report({
      job: job.name,
      durationMs,
      ...(failure === undefined ? { outcome: 'succeeded' } : { outcome: 'failed', ...failure }),
    })
  }
}
