import { LRUCache } from 'lru-cache'
import type { Clock } from '../kernel/clock.js'
import { DomainError } from '../kernel/domain-error.js'
import { CacheFigures } from '../cache/cache-figures.js'
import { DatabaseError } from '../db/database-error.js'
import { DeadlineExceeded, within } from '../kernel/deadline.js'

/** How old a fact may be in normal running. Changes are pushed; this bounds what a lost push can cost. */
export const FACT_AGE_MS_MAX = 30_000
/** How old a fact may be while the control database doesn't answer, so that recording goes on without it. */
export const FACT_AGE_UNREACHABLE_MS_MAX = 10 * 60_000
/** How long nobody is sent to a control database that didn't answer. */
const BREAKER_OPEN_MS = 1_000
/** How long somebody who has an answer waits for a newer one: a database that hangs must not hold up recording. */
const NEWER_ANSWER_MS_MAX = 200
const FACTS_PER_KIND_MAX = 10_000
const COMPANIES_CHANGED_MAX = 10_000

interface Entry<V> {
  /** Null: there is no such thing. */
  readonly value: V | null
  readonly companyId: string | null
  readonly atMs: number
  readonly asOf: number
}

interface Flight<V> {
  readonly asOf: number
  readonly result: Promise<V | null>
}

/** What a load found, and whose it is. */
export interface Found<V> {
  readonly value: V
  readonly companyId: string
  /** When it was read, where another process did; left out: just now. */
  readonly atMs?: number
}

/** When a load began: facts it finds beside the one asked for are kept as of then. */
export interface AsOf {
  readonly atMs: number
  readonly change: number
}

/**
 * The facts of one kind. What exists and what does not are bounded apart, so that somebody who tries keys at random
 * can't push the real ones out.
 */
export class FactTable<V extends object> {
  readonly known = new LRUCache<string, Entry<V>>({ max: FACTS_PER_KIND_MAX })
  readonly absent = new LRUCache<string, Entry<V>>({ max: FACTS_PER_KIND_MAX })
  readonly flights = new Map<string, Flight<V>>()
}

/**
 * Freshness of what this process remembers of the control database. Changes are numbered as they are heard of; a fact
 * counts only if it was read after the last change of its company, and one read while the change happened does not.
 */
export class FactCache {
  readonly figures = new CacheFigures()
  readonly #clock: Clock
  #change = 0
  #resetAt = 0
  readonly #changedAt = new Map<string, number>()
  /** Time from which the control database may be asked again; null while it answers. */
  #askAgainAtMs: number | null = null
  #probing = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Something of this company changed: what was read before counts no more. */
  changed(companyId: string): void {
    if (this.#changedAt.size >= COMPANIES_CHANGED_MAX) this.reset()
    this.#changedAt.set(companyId, ++this.#change)
  }

  /** Changes may have been missed: nothing remembered counts, and the control database is asked again at once. */
  reset(): void {
    this.#resetAt = ++this.#change
    this.#changedAt.clear()
    this.#askAgainAtMs = null
  }

  /**
   * The fact, or null where there is none. `load` is called at most once at a time for one name.
   * `REGION_UNAVAILABLE` with regions CONTROL where it is not known and the control database doesn't answer.
   */
  async read<V extends object>(
    table: FactTable<V>,
    name: string,
    load: (asOf: AsOf) => Promise<Found<V> | null>,
  ): Promise<V | null> {
    const nowMs = this.#clock.now().getTime()
    const entry = this.#valid(table, name)
    if (entry !== undefined && isYounger(entry, nowMs, FACT_AGE_MS_MAX)) {
      this.figures.hits.memory++
      return entry.value
    }
    const usable = entry !== undefined && isYounger(entry, nowMs, FACT_AGE_UNREACHABLE_MS_MAX) ? entry.value : null
    if (this.#askAgainAtMs === null) return this.#ask(table, name, load, usable)
    // The control database is down. One caller at a time finds out whether it still is; who has an answer doesn't wait.
    const mayAsk = nowMs >= this.#askAgainAtMs && !this.#probing
    if (usable === null) {
      if (!mayAsk) throw controlUnavailable()
      return this.#probe(() => this.#ask(table, name, load, null))
    }
    // Its outcome is the breaker's state; the caller's answer doesn't depend on it.
    if (mayAsk) this.#probe(() => this.#ask(table, name, load, usable)).catch(() => undefined)
    return usable
  }

  /** The fact where memory alone may answer for it; undefined where the control database has to be asked. */
  peek<V extends object>(table: FactTable<V>, name: string): V | undefined {
    const entry = this.#valid(table, name)
    const ageMsMax = this.#askAgainAtMs === null ? FACT_AGE_MS_MAX : FACT_AGE_UNREACHABLE_MS_MAX
    if (entry === undefined || !isYounger(entry, this.#clock.now().getTime(), ageMsMax)) return undefined
    return entry.value ?? undefined
  }

  /** Keeps a fact that another load found on its way. */
  keep<V extends object>(table: FactTable<V>, name: string, found: Found<V> | null, asOf: AsOf): void {
    const entry = {
      value: found?.value ?? null,
      companyId: found?.companyId ?? null,
      atMs: found?.atMs ?? asOf.atMs,
      asOf: asOf.change,
    }
    if (found === null) {
      table.known.delete(name)
      table.absent.set(name, entry)
    } else {
      table.absent.delete(name)
      table.known.set(name, entry)
    }
  }

  async #ask<V extends object>(
    table: FactTable<V>,
    name: string,
    load: (asOf: AsOf) => Promise<Found<V> | null>,
    usable: V | null,
  ): Promise<V | null> {
    try {
      const asked = this.#single(table, name, load)
      return await (usable === null ? asked : within(NEWER_ANSWER_MS_MAX, asked))
    } catch (error) {
      const isSilent = error instanceof DeadlineExceeded || (error instanceof DatabaseError && error.unavailable)
      if (!isSilent) throw error
      this.#askAgainAtMs = this.#clock.now().getTime() + BREAKER_OPEN_MS
      if (usable !== null) return usable
      throw controlUnavailable(error)
    }
  }

  /** Joins a load under way, unless something changed since it began. */
  #single<V extends object>(
    table: FactTable<V>,
    name: string,
    load: (asOf: AsOf) => Promise<Found<V> | null>,
  ): Promise<V | null> {
    const current = table.flights.get(name)
    if (current !== undefined && current.asOf === this.#change) return current.result
    const asOf = { atMs: this.#clock.now().getTime(), change: this.#change }
    const result = load(asOf)
      .then((found) => {
        // Only the control database itself says that it answers.
        if (found?.atMs === undefined) {
          this.#askAgainAtMs = null
          this.figures.misses++
        } else this.figures.hits.redis++
        this.keep(table, name, found, asOf)
        return found?.value ?? null
      })
      .finally(() => {
        if (table.flights.get(name)?.result === result) table.flights.delete(name)
      })
    table.flights.set(name, { asOf: asOf.change, result })
    return result
  }

  async #probe<T>(run: () => Promise<T>): Promise<T> {
    this.#probing = true
    try {
      return await run()
    } finally {
      this.#probing = false
    }
  }

  /** What is remembered and was read after the last change it could have missed. */
  #valid<V extends object>(table: FactTable<V>, name: string): Entry<V> | undefined {
    const entry = table.known.get(name) ?? table.absent.get(name)
    if (entry === undefined || entry.asOf < this.#resetAt) return undefined
    // What did not exist may be what changed.
    const changedAt = entry.companyId === null ? this.#change : (this.#changedAt.get(entry.companyId) ?? 0)
    return entry.asOf >= changedAt ? entry : undefined
  }
}

/** A clock set back makes an age negative: such a fact counts as old. */
const isYounger = (entry: Entry<object>, nowMs: number, ageMsMax: number): boolean =>
  nowMs >= entry.atMs && nowMs - entry.atMs <= ageMsMax

const controlUnavailable = (cause?: unknown): DomainError =>
  new DomainError('REGION_UNAVAILABLE', 'The control database does not answer; try again.', {
    details: { regions: ['CONTROL'] },
    ...(cause === undefined ? {} : { cause }),
  })
