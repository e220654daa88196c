import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import {
  countPending,
  insertEntries,
  readEntries,
  settleStretches,
  takeStretches,
  type Stretch,
} from './index-outbox.store.js'

/** How often a region is looked at unasked: what other processes record, and what an outage left behind. */
const POLL_MS = 500
/** After a commit, so that several commits make one step. */
const GATHER_MS = 50
/** The longest pause after failures in a row. */
const BACKOFF_MS_MAX = 5_000
const STEP_TIMEOUT_MS = 10_000
const STRETCHES_PER_STEP_MAX = 256
const EVENTS_PER_STEP_MAX = 2_000

export interface IndexerDeps {
  readonly registry: Pick<RegionRegistry, 'list' | 'find' | 'use'>
  readonly control: Database
  /** Told of each failed step; the indexer goes on by itself. */
  readonly onFailure?: (region: Region, error: unknown) => void
}

/** What one step takes on: as many whole stretches as fit, or a piece of the first. */
export function planStep(stretches: readonly Stretch[]): {
  readonly pieces: readonly Stretch[]
  /** Where the last piece's stretch goes on; null where it is whole. */
  readonly rest: { readonly id: string; readonly first: number } | null
} {
  const pieces: Stretch[] = []
  let room = EVENTS_PER_STEP_MAX
  for (const stretch of stretches) {
    if (room === 0) break
    const last = Math.min(stretch.last, stretch.first + room - 1)
    pieces.push({ ...stretch, last })
    room -= last - stretch.first + 1
    if (last < stretch.last) return { pieces, rest: { id: stretch.id, first: last + 1 } }
  }
  return { pieces, rest: null }
}

/**
 * Brings what regions have recorded into the global index in the control database, exactly once, from an outbox that is
 * written in the same transaction as the events. Either side may be down: it goes on where it was. Any number of
 * processes may do this at once; an entry that is there already is left alone.
 */
export class Indexer {
  readonly #deps: IndexerDeps
  readonly #stop = new AbortController()
  readonly #nudged = new Map<Region, () => void>()
  readonly #wanted = new Set<Region>()
  readonly #loops = new Map<Region, Promise<void>>()
  #superviser: Promise<void> = Promise.resolve()

  constructor(deps: IndexerDeps) {
    this.#deps = deps
  }

  /** Follows every region of the registry, those added later too. */
  start(): void {
    this.#superviser = this.#supervise()
  }

  /** Events were recorded in the region: index them now. */
  nudge(region: Region): void {
    this.#wanted.add(region)
    this.#nudged.get(region)?.()
  }

  /** Resolves when the steps under way are over; none begins after it was called. */
  async stop(): Promise<void> {
    this.#stop.abort()
    for (const wake of this.#nudged.values()) wake()
    await this.#superviser
    await Promise.all(this.#loops.values())
  }

  /** How many events of the region the index does not know yet. Throws `DatabaseError`. */
  pendingOf(region: Region): Promise<number> {
    return this.#deps.registry.use(region, ({ database }) => countPending(database, STEP_TIMEOUT_MS))
  }

  /** Indexes some of what is pending in a region; answers how many events. Throws `DatabaseError` of either side. */
  indexSome(region: Region): Promise<number> {
    return this.#deps.registry.use(region, ({ database }) =>
      database.transaction({ timeoutMs: STEP_TIMEOUT_MS }, async (tx) => {
        const { pieces, rest } = planStep(await takeStretches(tx, STRETCHES_PER_STEP_MAX))
        if (pieces.length === 0) return 0
        const entries = await readEntries(tx, pieces)
        // Committed there before it is forgotten here: a failure between the two repeats, it never loses.
        if (entries.count > 0) await insertEntries(this.#deps.control, region, entries, STEP_TIMEOUT_MS)
        await settleStretches(tx, pieces, rest)
        return entries.count
      }),
    )
  }

  async #supervise(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (const { region } of this.#deps.registry.list())
        if (!this.#loops.has(region)) this.#loops.set(region, this.#follow(region))
      await this.#pause(POLL_MS)
    }
  }

  async #follow(region: Region): Promise<void> {
    let failures = 0
    while (!this.#stop.signal.aborted) {
      this.#wanted.delete(region)
      let indexed = 0
      try {
        indexed = await this.#indexWhereAny(region)
        failures = 0
      } catch (error) {
        failures++
        this.#deps.onFailure?.(region, error)
      }
      if (failures > 0) await this.#pause(Math.min(BACKOFF_MS_MAX, POLL_MS * 2 ** (failures - 1)))
      else if (indexed === 0) await this.#untilNudged(region)
    }
  }

  /** An idle region is asked by one plain statement, not by a transaction. */
  async #indexWhereAny(region: Region): Promise<number> {
    if (this.#deps.registry.find(region) === undefined) return 0
    return (await this.pendingOf(region)) === 0 ? 0 : this.indexSome(region)
  }

  async #untilNudged(region: Region): Promise<void> {
    if (!this.#wanted.has(region)) {
      const nudged = new Promise<void>((resolve) => this.#nudged.set(region, resolve))
      await Promise.race([nudged, this.#pause(POLL_MS)])
      this.#nudged.delete(region)
    }
    if (this.#wanted.has(region)) await this.#pause(GATHER_MS)
  }

  async #pause(ms: number): Promise<void> {
    // The only way it rejects is the stop, which every loop sees by itself.
    await wait(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined)
  }
}
