import { setTimeout as wait } from 'node:timers/promises'
import { DatabaseError } from '../db/database-error.js'
import type { Log } from '../db/log.js'
import { isOutage, OutcomeUnknownError } from '../events/batch-transaction.js'
import type { Region } from '../kernel/region.js'
import type { RegionMode } from '../regions/region-mode.js'
import { lockMode, openHome, readMode } from '../regions/region-mode.store.js'
import type { RegionModes } from '../regions/region-modes.js'
import { type DrainDeps, drainIn, drainSome } from './drain-queue.js'
import { destroyIdleKeys } from './erase-pending.js'
import { hasMoreThan } from './pending-write.store.js'
import type { RegionWatch } from './region-watch.js'

/** How often a region that is down is looked at. */
const LOOK_EVERY_MS = 500
/** A queue that is this short is emptied while nobody may add to it: it would never end otherwise. */
const TAIL_EVENTS_MAX = 200
const HOMECOMING_TIMEOUT_MS = 10_000
/** Less than what waits for the mode has patience for. */
const TAIL_COMMIT_TIMEOUT_MS = 2_500
const READ_TIMEOUT_MS = 5_000

export interface RecoveryDeps extends DrainDeps {
  readonly modes: RegionModes
  readonly watch: RegionWatch
  readonly log: Log
  /** False lets writes go home while the queue is not empty. For tests that show what then goes wrong. */
  readonly queueWhileNotEmpty?: boolean
}

/** Brings home what waits for regions, as soon as they take it, and lets their writes go home again. */
export class RegionRecovery {
  readonly #deps: RecoveryDeps
  readonly #stop = new AbortController()
  readonly #loops = new Map<Region, Promise<void>>()

  constructor(deps: RecoveryDeps) {
    this.#deps = deps
  }

  /** A region's mode has changed. */
  changed({ region, mode, failedOverAt }: RegionMode): void {
    if (mode === 'HOME' || failedOverAt !== null || this.#loops.has(region) || this.#stop.signal.aborted) return
    const loop = this.#follow(region).finally(() => {
      this.#loops.delete(region)
      // What changed while it was ending.
      const now = this.#deps.modes.of(region)
      if (now !== undefined) this.changed(now)
    })
    this.#loops.set(region, loop)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#loops.values())
  }

  /**
   * Drains one region as far as it goes, sends its writes home, and destroys pending keys that nothing is kept under.
   * Answers how many events it brought home. `signal` ends it between two steps. Throws DatabaseError.
   */
  async recover(region: Region, signal: AbortSignal): Promise<number> {
    const { modes, watch } = this.#deps
    const { control } = this.#deps
    let drained = 0
    modes.learn(await control.transaction({ timeoutMs: READ_TIMEOUT_MS, readOnly: true }, (tx) => readMode(tx, region)))
    const mode = modes.of(region)
    const isWaiting = mode?.mode === 'QUEUEING' && mode.failedOverAt === null
    if (isWaiting && !(await watch.isDown(region))) {
      if (this.#deps.queueWhileNotEmpty === false) return this.#openFirst(region, signal)
      drained = await this.#drain(region, signal)
      if (!signal.aborted) drained += await this.#comeHome(region)
    }
    if (mode?.mode === 'CLOSING' && !(await watch.isDown(region))) await modes.reopen(region)
    await destroyIdleKeys(this.#deps, region)
    return drained
  }

  async #follow(region: Region): Promise<void> {
    const { modes, log } = this.#deps
    while (!this.#stop.signal.aborted) {
      const mode = modes.of(region)
      if (mode === undefined || mode.mode === 'HOME' || mode.failedOverAt !== null) return
      try {
        const drained = await this.recover(region, this.#stop.signal)
        if (drained > 0) log.info({ region, drained }, 'queued events were brought home')
      } catch (err) {
        if (!(err instanceof DatabaseError || isOutage(err) || err instanceof OutcomeUnknownError))
          log.error({ err, region }, 'queued events could not be brought home; it is tried again')
        else log.warn({ err, region }, 'queued events could not be brought home yet; it is tried again')
      }
      // The only way it rejects is the stop, which the loop sees by itself.
      await wait(LOOK_EVERY_MS, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined)
    }
  }

  async #drain(region: Region, signal: AbortSignal): Promise<number> {
    let drained = 0
    while (!signal.aborted) {
      const step = await drainSome(this.#deps, region)
      if (step === 'others') return drained
      drained += step.drained
      if (step.drained + step.deadLetters === 0) return drained
      // The rest is left to who keeps others from adding to it.
      const { control } = this.#deps
      const options = { timeoutMs: READ_TIMEOUT_MS, readOnly: true }
      if (!(await control.transaction(options, (tx) => hasMoreThan(tx, region, TAIL_EVENTS_MAX)))) return drained
    }
    return drained
  }

  /** Takes the last events home while the region's mode is held, so that none can come in, and opens it. */
  async #comeHome(region: Region): Promise<number> {
    const { control, modes, log } = this.#deps
    let drained = 0
    const mode = await control.transaction({ timeoutMs: HOMECOMING_TIMEOUT_MS }, async (tx) => {
      await lockMode(tx, region)
      if (await hasMoreThan(tx, region, TAIL_EVENTS_MAX)) return readMode(tx, region)
      for (;;) {
        const step = await drainIn(this.#deps, tx, region, TAIL_COMMIT_TIMEOUT_MS)
        if (step === 'others') return readMode(tx, region)
        drained += step.drained
        if (step.drained + step.deadLetters === 0) return openHome(tx, region, false)
      }
    })
    modes.learn(mode)
    if (mode.mode === 'HOME') {
      log.info({ region }, 'events are recorded in their region again')
      modes.reset()
    }
    return drained
  }

  /** Against the rule that a region opens only when nothing waits for it. */
  async #openFirst(region: Region, signal: AbortSignal): Promise<number> {
    const { control, modes } = this.#deps
    modes.learn(
      await control.transaction({ timeoutMs: HOMECOMING_TIMEOUT_MS }, async (tx) => {
        await lockMode(tx, region)
        return openHome(tx, region, true)
      }),
    )
    modes.reset()
    let drained = 0
    const options = { timeoutMs: READ_TIMEOUT_MS, readOnly: true }
    while (!signal.aborted && (await control.transaction(options, (tx) => hasMoreThan(tx, region, 0)))) {
      drained += await this.#drain(region, signal)
      await wait(LOOK_EVERY_MS)
    }
    return drained
  }
}
