import { setTimeout as wait } from 'node:timers/promises'
import { DatabaseError } from '../db/database-error.js'
import type { Log } from '../db/log.js'
import { DomainError } from '../kernel/domain-error.js'
import { newUuid } from '../kernel/ids.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { ExportJob } from './export-job.js'
import {
  claimExport,
  type ExportLease,
  failExport,
  releaseExport,
  renewLease,
  restartExport,
} from './export-job.store.js'
import { sweepExports } from './expire-exports.job.js'
import { NotSignedYet } from './take-snapshot.js'
import { ExportImpossible, LeaseLost, SnapshotOutdated, type WriteDeps, writeExport } from './write-export.js'

/** Exports written at a time by one process. */
export const EXPORTS_RUNNING_MAX = 2
/** How long a process may be silent before another one takes its export over. */
const LEASE_MS_DEFAULT = 30_000
/** How often the queue is looked at for what other processes put there, or left. */
const POLL_MS = 2_000
/** How often this machine's disk is looked through for files of exports that are over. */
const CLEAN_EVERY_MS = 5 * 60_000
const RETRY_PAUSE_MS = 5_000
/** Two minutes of a region that doesn't answer. */
const FAILURES_MAX = 24

export interface ExportRunnerDeps extends Omit<WriteDeps, 'registry' | 'leaseMs'> {
  readonly registry: RegionRegistry
  readonly log: Log
  readonly leaseMs?: number
}

/**
 * Writes the exports that were asked for, some at a time. Any number of processes may do so: a lease in the control
 * database says who writes which, and what a process leaves when it dies another one finishes.
 */
export class ExportRunner {
  readonly #deps: ExportRunnerDeps
  readonly #leaseMs: number
  readonly #stop = new AbortController()
  #cleanNow = new AbortController()
  readonly #workers: Promise<void>[] = []
  #wakers: (() => void)[] = []

  constructor(deps: ExportRunnerDeps) {
    this.#deps = deps
    this.#leaseMs = deps.leaseMs ?? LEASE_MS_DEFAULT
  }

  start(): void {
    for (let i = 0; i < EXPORTS_RUNNING_MAX; i++) this.#workers.push(this.#work())
    this.#workers.push(this.#clean())
  }

  /** Something was put into the queue. */
  nudge(): void {
    const wakers = this.#wakers
    this.#wakers = []
    for (const wake of wakers) wake()
  }

  /** Exports were ended: looks through this machine's disk for their files at once. */
  clean(): void {
    this.#cleanNow.abort()
  }

  /** Gives back what is being written; resolves when nothing is any more. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the server is shutting down'))
    this.nudge()
    await Promise.all(this.#workers)
  }

  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const found = await this.#runNext().catch((err: unknown) => {
        this.#deps.log.warn({ err }, 'exports could not be looked for; it is tried again')
        return false
      })
      if (!found && !this.#stop.signal.aborted) await this.#pause()
    }
  }

  async #clean(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await sweepExports(this.#deps, signal).catch((err: unknown) => {
        if (!signal.aborted) this.#deps.log.warn({ err }, 'old exports could not be deleted; it is tried again')
      })
      // The only way it rejects is the stop.
      const sooner = AbortSignal.any([signal, this.#cleanNow.signal])
      await wait(CLEAN_EVERY_MS, undefined, { signal: sooner, ref: false }).catch(() => undefined)
      this.#cleanNow = new AbortController()
    }
  }

  async #runNext(): Promise<boolean> {
    const { control, registry } = this.#deps
    const owner = newUuid()
    const regions = registry.list().map(({ region }) => region)
    const job = await claimExport(control, owner, regions, this.#leaseMs)
    if (job === null) return false
    await this.#run(job, { id: job.id, owner })
    return true
  }

  async #run(job: ExportJob, lease: ExportLease): Promise<void> {
    const lost = new AbortController()
    const renewal = setInterval(() => void this.#renew(lease, lost), this.#leaseMs / 3)
    const signal = AbortSignal.any([this.#stop.signal, lost.signal])
    try {
      await writeExport({ ...this.#deps, leaseMs: this.#leaseMs }, job, lease, signal)
      this.#deps.log.info({ exportId: job.id, region: job.region }, 'an export is complete')
    } catch (error) {
      // An aborted wait says only that it was aborted.
      await this.#settle(job, lease, lost.signal.aborted ? lost.signal.reason : error)
    } finally {
      clearInterval(renewal)
    }
  }

  /** Never rejects: a lease that can't be renewed now may be at the next turn. */
  async #renew(lease: ExportLease, lost: AbortController): Promise<void> {
    try {
      const held = await renewLease(this.#deps.control, lease, this.#leaseMs)
      if (!held) lost.abort(new LeaseLost('another process has the export'))
    } catch (err) {
      this.#deps.log.warn({ err, exportId: lease.id }, 'the lease of an export could not be renewed')
    }
  }

  async #settle(job: ExportJob, lease: ExportLease, error: unknown): Promise<void> {
    const { control, log, clock } = this.#deps
    const about = { err: error, exportId: job.id, region: job.region }
    if (this.#stop.signal.aborted) return releaseExport(control, lease, { pauseMs: 0, hasFailed: false })
    if (error instanceof LeaseLost) {
      log.warn(about, 'an export was taken over by another process')
      return undefined
    }
    if (error instanceof ExportImpossible) return failExport(control, lease, error.message, clock.now())
    if (error instanceof SnapshotOutdated && job.failures + 1 < FAILURES_MAX) return restartExport(control, lease)
    if (!isPassing(error)) {
      log.error(about, 'an export failed')
      return failExport(control, lease, 'Something went wrong on our side.', clock.now())
    }
    log.warn(about, 'an export was interrupted; it goes on later')
    if (job.failures + 1 < FAILURES_MAX)
      return releaseExport(control, lease, { pauseMs: RETRY_PAUSE_MS, hasFailed: true })
    const failure =
      error instanceof NotSignedYet
        ? 'The newest events of the workspace could not be signed.'
        : `Region ${job.region} did not answer for too long.`
    return failExport(control, lease, failure, clock.now())
  }

  async #pause(): Promise<void> {
    let wake = (): void => undefined
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    this.#wakers.push(wake)
    const timer = new AbortController()
    // Rejects only where it is aborted: the waiting is over then.
    const due = wait(POLL_MS, undefined, { signal: timer.signal, ref: false }).catch(() => undefined)
    await Promise.race([woken, due])
    timer.abort()
    this.#wakers = this.#wakers.filter((other) => other !== wake)
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof NotSignedYet ||
  (error instanceof DatabaseError && (error.unavailable || error.kind === 'aborted')) ||
  (error instanceof DomainError && error.code === 'REGION_UNAVAILABLE')
