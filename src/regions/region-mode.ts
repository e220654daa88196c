import { isRegion, type Region } from '../kernel/region.js'

/** Where the writes of a region go. */
export interface RegionMode {
  readonly region: Region
  /**
   * HOME: to the region's database. CLOSING: nowhere, until no process believes in HOME any more. QUEUEING: into the
   * pending queue of the control database.
   */
  readonly mode: 'HOME' | 'CLOSING' | 'QUEUEING'
  /** Counts the changes: of two modes of a region the one with the larger epoch is the newer. */
  readonly epoch: number
  readonly since: Date
  /** The key of the region's vault under which is sealed what is queued now; null in HOME. */
  readonly pendingKey: string | null
  /** Since when somebody, or the health job, has it not asked at all; null: it is not failed over. */
  readonly failedOverAt: Date | null
  readonly failedOverReason: string | null
  /** Counts the erasures that have ended: see `raiseQueueFence`. Grows within an epoch too. */
  readonly fence: number
}

/** The channel on which the control database tells of each change; the payload is a row of `region_mode`. */
export const REGION_MODE_CHANNEL = 'hyrelog_region_mode'

/** A row of `region_mode`, as the database or the notification of it has it. */
export interface RegionModeRow {
  readonly region: Region
  readonly mode: RegionMode['mode']
  readonly epoch: string | number
  readonly since: Date | string
  readonly pending_key: string | null
  readonly failed_over_at: Date | string | null
  readonly failed_over_reason: string | null
  readonly fence: string | number
}

export const regionModeOf = (row: RegionModeRow): RegionMode => ({
  region: row.region,
  mode: row.mode,
  epoch: Number(row.epoch),
  since: new Date(row.since),
  pendingKey: row.pending_key,
  failedOverAt: row.failed_over_at === null ? null : new Date(row.failed_over_at),
  failedOverReason: row.failed_over_reason,
  fence: Number(row.fence),
})

/** The mode a notification tells of; null for what is no such message: anybody with a session there can send one. */
export function regionModeIn(payload: string): RegionMode | null {
  try {
    const row = JSON.parse(payload) as Partial<RegionModeRow>
    return isRegion(row.region) && Number.isSafeInteger(row.epoch) ? regionModeOf(row as RegionModeRow) : null
  } catch {
    return null
  }
}
