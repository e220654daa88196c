import { LRUCache } from 'lru-cache'
import type { Clock } from '../kernel/clock.js'

/** How long an unwrapped key may stay in memory. An erasure counts on it: what was missed by name is gone by then. */
export const KEY_AGE_MS_MAX = 10 * 60_000
const SWEEP_EVERY_MS = 60_000

interface Entry<V> {
  readonly value: V
  readonly at: number
}

/**
 * Unwrapped keys by name: at most `entriesMax`, each for at most {@link KEY_AGE_MS_MAX}. Entries past their time are
 * never answered, and are swept out even when nobody asks, so that an idle process forgets too.
 */
export class KeyCache<V> {
  readonly #entries: LRUCache<string, Entry<V>>
  readonly #clock: Clock
  #sweeper: NodeJS.Timeout | undefined

  constructor(entriesMax: number, clock: Clock) {
    this.#entries = new LRUCache({ max: entriesMax })
    this.#clock = clock
  }

  /** The clock's time in ms; taken once per batch by callers that ask for many keys. */
  nowMs(): number {
    return this.#clock.now().getTime()
  }

  get(name: string, nowMs: number = this.nowMs()): V | undefined {
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    if (isFresh(entry.at, nowMs)) return entry.value
    this.#entries.delete(name)
    return undefined
  }

  /** `at` is when the key was read, so that waiting between reading and keeping counts as age. */
  set(name: string, value: V, at: number = this.nowMs()): void {
    this.#entries.set(name, { value, at })
    if (this.#sweeper === undefined) {
      this.#sweeper = setInterval(() => this.#sweep(), SWEEP_EVERY_MS)
      this.#sweeper.unref()
    }
  }

  delete(name: string): void {
    this.#entries.delete(name)
  }

  /** Drops every entry the test names. */
  deleteWhere(matches: (value: V, name: string) => boolean): void {
    for (const [name, entry] of this.#entries.entries()) if (matches(entry.value, name)) this.#entries.delete(name)
  }

  get size(): number {
    return this.#entries.size
  }

  #sweep(): void {
    const now = this.nowMs()
    for (const [name, entry] of this.#entries.entries()) if (!isFresh(entry.at, now)) this.#entries.delete(name)
    if (this.#entries.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }
}

/** A clock set back makes an age negative; such an entry counts as old, else it would live that much longer. */
const isFresh = (at: number, nowMs: number): boolean => nowMs - at <= KEY_AGE_MS_MAX && nowMs >= at
