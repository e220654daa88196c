import type { Log } from '../db/log.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import type { ReplicatedChain } from './replica-chain.js'

const REPEAT_AFTER_MS = 60_000
const REMEMBERED_MAX = 10_000

/** Raises the alarm of a replica that was stopped: an error in the log, at most once a minute for each, and a count. */
export class ReplicaAlarms {
  readonly #log: Log
  readonly #clock: Clock
  readonly #lastMs = new Map<string, number>()
  readonly #counts = new Map<string, number>()

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** How many of each reason were raised since the process began, repeats left out. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  raise(chain: ReplicatedChain, replica: Region, reason: string, sequence: number): void {
    const name = `${chain.workspaceId} ${replica} ${reason}`
    const nowMs = this.#clock.now().getTime()
    const lastMs = this.#lastMs.get(name)
    if (lastMs !== undefined && nowMs - lastMs < REPEAT_AFTER_MS) return
    if (this.#lastMs.size >= REMEMBERED_MAX) this.#lastMs.clear()
    this.#lastMs.set(name, nowMs)
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1)
    this.#log.error(
      { workspaceId: chain.workspaceId, region: chain.home, replica, reason, sequence },
      'a replica contradicts its home: nothing more is copied to it, nor read from it, until it is rebuilt (resyncReplica)',
    )
  }
}
