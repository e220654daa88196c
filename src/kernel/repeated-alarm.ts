import type { Clock } from './clock.js'

const REPEAT_AFTER_MS = 60_000
const REMEMBERED_MAX = 10_000

/** An alarm that many may raise and few should hear: each at most once a minute, and a count of those that were heard. */
export class RepeatedAlarm<Kind extends string> {
  readonly #clock: Clock
  readonly #lastMs = new Map<string, number>()
  readonly #counts = new Map<Kind, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many of each kind were heard since the process began, repeats left out. */
  get counts(): ReadonlyMap<Kind, number> {
    return this.#counts
  }

  /** Whether this one is to be heard: `about` and its kind were not raised within the last minute. */
  raise(kind: Kind, about: string): boolean {
    const name = `${kind} ${about}`
    const nowMs = this.#clock.now().getTime()
    const lastMs = this.#lastMs.get(name)
    if (lastMs !== undefined && nowMs - lastMs < REPEAT_AFTER_MS) return false
    if (this.#lastMs.size >= REMEMBERED_MAX) this.#lastMs.clear()
    this.#lastMs.set(name, nowMs)
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    return true
  }
}
