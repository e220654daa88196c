import type { Region } from '../kernel/region.js'

/** What one health check found of a region. */
export interface RegionCheck {
  readonly region: Region
  /** Its database answered in time. */
  readonly answers: boolean
  /** It took a write, and kept it. */
  readonly writable: boolean
  /** Of the write; null where it did not answer. */
  readonly latencyMs: number | null
  /** Null where all is well. */
  readonly reason: RegionTrouble | null
}

/** What is the matter with a region, in a few fixed words. */
export type RegionTrouble = 'timeout' | 'unreachable' | 'starting' | 'overloaded' | 'read_only' | 'error'

/** How a region is, as the last check found it. */
export interface RegionState {
  readonly region: Region
  readonly state: 'HEALTHY' | 'UNHEALTHY'
  readonly since: Date
  readonly answers: boolean
  readonly latencyMs: number | null
  readonly reason: RegionTrouble | null
  readonly checkedAt: Date
}

/** The channel on which the control database tells of each check; the payload is a row of `region_state`. */
export const REGION_STATE_CHANNEL = 'hyrelog_region_state'
