import type { Log } from '../db/log.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import { RepeatedAlarm } from '../kernel/repeated-alarm.js'
import type { BreakReason, ChainBreak } from '../ledger/index.js'

/** Raises the alarm of a chain that does not verify: an error in the log, at most once a minute for each, and a count. */
export class ChainAlarms {
  readonly #log: Log
  readonly #repeated: RepeatedAlarm<BreakReason>

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#repeated = new RepeatedAlarm(clock)
  }

  /** How many of each reason were raised since the process began, repeats left out. */
  get counts(): ReadonlyMap<BreakReason, number> {
    return this.#repeated.counts
  }

  raise(chain: { readonly id: string; readonly dataRegion: Region }, found: ChainBreak): void {
    if (!this.#repeated.raise(found.reason, chain.id)) return
    this.#log.error(
      { workspaceId: chain.id, region: chain.dataRegion, break: found },
      'a chain does not verify: what is stored is not what was recorded',
    )
  }
}
