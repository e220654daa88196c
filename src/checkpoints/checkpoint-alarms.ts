import type { Log } from '../db/log.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import { RepeatedAlarm } from '../kernel/repeated-alarm.js'

/**
 * `ROLLED_BACK`: a chain is shorter than a signed checkpoint of it. `FORKED`: a chain, or a checkpoint, contradicts a
 * signed checkpoint. `BAD_SIGNATURE`: what is stored as a checkpoint was signed by no key of the region.
 */
export type CheckpointAlarmKind = 'ROLLED_BACK' | 'FORKED' | 'BAD_SIGNATURE'

/** Evidence that what was signed was taken back. No personal data. */
export interface CheckpointAlarm {
  readonly kind: CheckpointAlarmKind
  /** The home region of the chain; CONTROL: it is one of the admin log. */
  readonly region: Region | 'CONTROL'
  readonly workspaceId: string
  /** Where the checkpoint is that the chain contradicts, or that is not signed. */
  readonly place: 'HOME' | 'CONTROL' | 'MEMORY' | Region
  /** The size of the checkpoint. */
  readonly knownSize: number
  /** The size that the chain has now. */
  readonly treeSize: number
}

/** Raises alarms: an error in the log, at most once a minute for the same chain and kind, and a count of all. */
export class CheckpointAlarms {
  readonly #log: Log
  readonly #repeated: RepeatedAlarm<CheckpointAlarmKind>

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#repeated = new RepeatedAlarm(clock)
  }

  /** How many of each kind were raised since the process began, repeats left out. */
  get counts(): ReadonlyMap<CheckpointAlarmKind, number> {
    return this.#repeated.counts
  }

  raise(alarm: CheckpointAlarm): void {
    if (this.#repeated.raise(alarm.kind, `${alarm.workspaceId} ${alarm.place}`))
      this.#log.error({ alarm }, 'a chain contradicts its signed checkpoint; nothing more is signed for it')
  }
}
