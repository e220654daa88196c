import type { Log } from '../db/log.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'

/**
 * `ROLLED_BACK`: a chain is shorter than a signed checkpoint of it. `FORKED`: a chain, or a checkpoint, contradicts a
 * signed checkpoint. `BAD_SIGNATURE`: what is stored as a checkpoint was signed by no key of the region.
 */
export type CheckpointAlarmKind = 'ROLLED_BACK' | 'FORKED' | 'BAD_SIGNATURE'

/** Evidence that what was signed was taken back. No personal data. */
export interface CheckpointAlarm {
  readonly kind: CheckpointAlarmKind
  /** The home region of the chain. */
  readonly region: Region
  readonly workspaceId: string
  /** Where the checkpoint is that the chain contradicts, or that is not signed. */
  readonly place: 'HOME' | 'CONTROL' | 'MEMORY' | Region
  /** The size of the checkpoint. */
  readonly knownSize: number
  /** The size that the chain has now. */
  readonly treeSize: number
}

const REPEAT_AFTER_MS = 60_000
const REMEMBERED_MAX = 10_000

/** Raises alarms: an error in the log, at most once a minute for the same chain and kind, and a count of all. */
export class CheckpointAlarms {
  readonly #log: Log
  readonly #clock: Clock
  readonly #lastMs = new Map<string, number>()
  readonly #counts = new Map<CheckpointAlarmKind, number>()

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** How many of each kind were raised since the process began, repeats left out. */
  get counts(): ReadonlyMap<CheckpointAlarmKind, number> {
    return this.#counts
  }

  raise(alarm: CheckpointAlarm): void {
    const name = `${alarm.kind} ${alarm.workspaceId} ${alarm.place}`
    const nowMs = this.#clock.now().getTime()
    const lastMs = this.#lastMs.get(name)
    if (lastMs !== undefined && nowMs - lastMs < REPEAT_AFTER_MS) return
    if (this.#lastMs.size >= REMEMBERED_MAX) this.#lastMs.clear()
    this.#lastMs.set(name, nowMs)
    this.#counts.set(alarm.kind, (this.#counts.get(alarm.kind) ?? 0) + 1)
    this.#log.error({ alarm }, 'a chain contradicts its signed checkpoint; nothing more is signed for it')
  }
}
