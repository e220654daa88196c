import type { Log } from '../db/log.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import type { BreakReason, ChainBreak } from '../ledger/index.js'

const REPEAT_AFTER_MS = 60_000
const REMEMBERED_MAX = 10_000

/** Raises the alarm of a chain that does not verify: an error in the log, at most once a minute for each, and a count. */
export class ChainAlarms {
  readonly #log: Log
  readonly #clock: Clock
  readonly #lastMs = new Map<string, number>()
  readonly #counts = new Map<BreakReason, number>()

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** How many of each reason were raised since the process began, repeats left out. */
  get counts(): ReadonlyMap<BreakReason, number> {
    return this.#counts
  }

  raise(chain: { readonly id: string; readonly dataRegion: Region }, found: ChainBreak): void {
    const name = `${chain.id} ${found.reason}`
    const nowMs = this.#clock.now().getTime()
    const lastMs = this.#lastMs.get(name)
    if (lastMs !== undefined && nowMs - lastMs < REPEAT_AFTER_MS) return
    if (this.#lastMs.size >= REMEMBERED_MAX) this.#lastMs.clear()
    this.#lastMs.set(name, nowMs)
    this.#counts.set(found.reason, (this.#counts.get(found.reason) ?? 0) + 1)
    this.#log.error(
      { workspaceId: chain.id, region: chain.dataRegion, break: found },
      'a chain does not verify: what is stored is not what was recorded',
    )
  }
}
