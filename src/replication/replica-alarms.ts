import type { Log } from '../db/log.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import { RepeatedAlarm } from '../kernel/repeated-alarm.js'
import type { ReplicatedChain } from './replica-chain.js'

/** Raises the alarm of a replica that was stopped: an error in the log, at most once a minute for each, and a count. */
export class ReplicaAlarms {
  readonly #log: Log
  readonly #repeated: RepeatedAlarm<string>

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#repeated = new RepeatedAlarm(clock)
  }

  /** How many of each reason were raised since the process began, repeats left out. */
  get counts(): ReadonlyMap<string, number> {
    return this.#repeated.counts
  }

  raise(chain: ReplicatedChain, replica: Region, reason: string, sequence: number): void {
    if (!this.#repeated.raise(reason, `${chain.workspaceId} ${replica}`)) return
    this.#log.error(
      { workspaceId: chain.workspaceId, region: chain.home, replica, reason, sequence },
      'a replica contradicts its home: nothing more is copied to it, nor read from it, until it is rebuilt (resyncReplica)',
    )
  }
}
