import type { Database } from '../db/database.js'
import { isRegion, type Region } from '../kernel/region.js'
import type { RegionState } from './region-state.js'
import { readRegionStates, regionStateOf, type RegionStateRow } from './region-state.store.js'

/** A check that is older says nothing of how a region is: health checks come each minute. */
const FRESH_MS = 90_000

export interface RegionHealthDeps {
  readonly control: Database
  /** Told of each check, by whichever process it was made. */
  readonly onChecked?: (state: RegionState) => void
  /** Told where the states could not be read after the listener had been deaf; the next check is heard anyway. */
  readonly onFailure: (error: unknown) => void
}

/**
 * How the regions are, as the last check of any process found them. Kept in memory: the control database tells of every
 * check on {@link REGION_STATE_CHANNEL}, and is asked only after it could not be heard.
 */
export class RegionHealth {
  readonly #deps: RegionHealthDeps
  readonly #states = new Map<Region, { readonly state: RegionState; readonly freshUntilMs: number }>()
  readonly #reading = new Set<Promise<void>>()

  constructor(deps: RegionHealthDeps) {
    this.#deps = deps
  }

  /** The newest state of a region while it is fresh; undefined: nobody knows. */
  of(region: Region): RegionState | undefined {
    const known = this.#states.get(region)
    return known === undefined || performance.now() > known.freshUntilMs ? undefined : known.state
  }

  /** What the listener heard. */
  notified(payload: string): void {
    const row = rowIn(payload)
    if (row !== null) this.#keep(regionStateOf(row), 0)
  }

  /** The listener (re)connected: what was told meanwhile was missed. */
  reset(): void {
    const reading = this.#read().catch((error: unknown) => this.#deps.onFailure(error))
    this.#reading.add(reading)
    void reading.finally(() => this.#reading.delete(reading))
  }

  /** Resolves when nothing is being read. */
  async stop(): Promise<void> {
    await Promise.all(this.#reading)
  }

  async #read(): Promise<void> {
    for (const { state, ageMs } of await readRegionStates(this.#deps.control)) this.#keep(state, ageMs)
  }

  #keep(state: RegionState, ageMs: number): void {
    const before = this.#states.get(state.region)
    if (before !== undefined && before.state.checkedAt > state.checkedAt) return
    const freshUntilMs = performance.now() + FRESH_MS - ageMs
    this.#states.set(state.region, { state, freshUntilMs })
    if (performance.now() <= freshUntilMs) this.#deps.onChecked?.(state)
  }
}

/** Null for what is no such message: anybody with a session there can send one. */
function rowIn(payload: string): RegionStateRow | null {
  try {
    const row = JSON.parse(payload) as Partial<RegionStateRow>
    return isRegion(row.region) ? (row as RegionStateRow) : null
  } catch {
    return null
  }
}
