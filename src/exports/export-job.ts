import type { Region } from '../kernel/region.js'

export const exportFormats = ['NDJSON', 'CSV'] as const
export type ExportFormat = (typeof exportFormats)[number]

export const exportScopes = ['HOT', 'ARCHIVED', 'ALL'] as const
/** Of which events: those within their retention, those that were archived, or both. */
export type ExportScope = (typeof exportScopes)[number]

export type ExportStatus = 'QUEUED' | 'RUNNING' | 'DONE' | 'FAILED' | 'EXPIRED'

/** What an export holds, fixed before its first line: events beyond it are another export's. */
export interface ExportSnapshot {
  /** The size at which the checkpoint was signed; 0 where the chain has no event. */
  readonly treeSize: number
  /** The checkpoint's note; null where the chain has no event. */
  readonly note: string | null
  /** The first and last event written; null where there is none. */
  readonly firstSequence: number | null
  readonly lastSequence: number | null
}

/** An export as the control database knows it. Holds nothing of an event. */
export interface ExportJob {
  readonly id: string
  readonly companyId: string
  readonly workspaceId: string
  readonly region: Region
  readonly format: ExportFormat
  readonly scope: ExportScope
  readonly from: Date | null
  readonly to: Date | null
  readonly status: ExportStatus
  readonly createdAt: Date
  readonly snapshot: ExportSnapshot | null
  /** Rows, and bytes of the file, that are safely on disk. */
  readonly rowsWritten: number
  readonly bytesWritten: number
  /** Below the region's folder. */
  readonly fileName: string | null
  /** How often a process has begun to write it. */
  readonly attempts: number
  /** How often in a row that failed for a passing reason. */
  readonly failures: number
  readonly sha256: Buffer | null
  readonly completedAt: Date | null
  readonly expiresAt: Date | null
  readonly failure: string | null
}

/** An export is kept for so long after it was finished. */
export const EXPORT_KEPT_MS = 24 * 3_600_000

/** The status as of now: a file that is past its time is gone, whether or not somebody has deleted it already. */
export const statusAt = (job: ExportJob, now: Date): ExportStatus =>
  job.status === 'DONE' && job.expiresAt! <= now ? 'EXPIRED' : job.status

/** How many events the export will hold; null while that isn't known. */
export function totalRows({ snapshot, sha256, rowsWritten }: ExportJob): number | null {
  // A part has besides the erasures it names, which are counted when they are written.
  if (sha256 !== null) return rowsWritten
  if (snapshot === null) return null
  const { firstSequence, lastSequence } = snapshot
  return firstSequence === null || lastSequence === null ? 0 : lastSequence - firstSequence + 1
}
