import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { checkRegion } from '../regions/check-region.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { listErasureDebts } from './erasure-debt.store.js'

/** How often regions that owe something are asked whether they are back. */
const LOOK_EVERY_MS = 1_000
/** After a run that left a debt: what keeps it from being settled is not the region. */
const AGAIN_AFTER_MS = 30_000

export interface OwedErasuresDeps {
  readonly control: Database
  readonly registry: Pick<RegionRegistry, 'list' | 'use'>
  readonly onFailure: (error: unknown) => void
}

/**
 * Knows which regions were down when a company's data was to be erased in them, and has that done as soon as they are
 * back: until then nothing of the company is read from them. Kept in memory; the control database tells of changes.
 */
export class OwedErasures {
  readonly #deps: OwedErasuresDeps
  readonly #stop = new AbortController()
  readonly #reading = new Set<Promise<void>>()
  #owed: ReadonlyMap<Region, ReadonlySet<string>> = new Map()
  /** Readings are numbered as they begin: one that took longer than a later one says nothing new. */
  #begun = 0
  #known = 0
  #loop: Promise<void> = Promise.resolve()

  constructor(deps: OwedErasuresDeps) {
    this.#deps = deps
  }

  /** Whether something of one of these companies has yet to be erased in a region. */
  owes(region: Region, companyIds: readonly string[]): boolean {
    const companies = this.#owed.get(region)
    return companies !== undefined && companyIds.some((id) => companies.has(id))
  }

  /** Learns what is owed. Throws DatabaseError. */
  async load(): Promise<void> {
    await this.#read()
  }

  /** Begins to look for regions that are back. `erase` carries out what is to be erased, in one process at a time. */
  start(erase: () => Promise<unknown>): void {
    this.#loop = this.#follow(erase)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all([this.#loop, ...this.#reading])
  }

  /** What the listener on the channel of facts heard. */
  notified(payload: string): void {
    if (payload.includes('"erasure_debt"')) this.reset()
  }

  /** The listener (re)connected: what was told meanwhile was missed. */
  reset(): void {
    const reading = this.#read().catch((error: unknown) => this.#deps.onFailure(error))
    this.#reading.add(reading)
    void reading.finally(() => this.#reading.delete(reading))
  }

  async #read(): Promise<void> {
    const reading = ++this.#begun
    const debts = await listErasureDebts(this.#deps.control)
    if (reading < this.#known) return
    this.#known = reading
    const byRegion = Map.groupBy(debts, ({ region }) => region)
    this.#owed = new Map([...byRegion].map(([region, own]) => [region, new Set(own.map(({ companyId }) => companyId))]))
  }

  async #follow(erase: () => Promise<unknown>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const didRun = await this.#eraseWhereBack(erase)
      // The only way it rejects is the stop, which the loop sees by itself.
      await wait(didRun && this.#owed.size > 0 ? AGAIN_AFTER_MS : LOOK_EVERY_MS, undefined, {
        signal: this.#stop.signal,
        ref: false,
      }).catch(() => undefined)
    }
  }

  /** True where a region was back, and a run was made. */
  async #eraseWhereBack(erase: () => Promise<unknown>): Promise<boolean> {
    const { registry, onFailure } = this.#deps
    try {
      // What was told could not be read then.
      if (this.#known < this.#begun && this.#reading.size === 0) await this.#read()
      if (this.#owed.size === 0) return false
      const known = new Set(registry.list().map(({ region }) => region))
      const asked = [...this.#owed.keys()].filter((region) => known.has(region))
      const checks = await Promise.all(asked.map((region) => checkRegion(registry, region)))
      if (!checks.some(({ answers, writable }) => answers && writable)) return false
      await erase()
      await this.#read()
      return true
    } catch (error) {
      onFailure(error)
      return false
    }
  }
}
