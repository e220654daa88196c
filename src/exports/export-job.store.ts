import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { ExportFormat, ExportScope, ExportJob, ExportSnapshot, ExportStatus } from './export-job.js'

interface JobRow {
  readonly id: string
  readonly company_id: string
  readonly workspace_id: string
  readonly region: Region
  readonly format: ExportFormat
  readonly scope: ExportScope
  readonly from_time: Date | null
  readonly to_time: Date | null
  readonly status: ExportStatus
  readonly created_at: Date
  readonly tree_size: string | null
  readonly note: string | null
  readonly first_sequence: string | null
  readonly last_sequence: string | null
  readonly rows_written: string
  readonly bytes_written: string
  readonly file_name: string | null
  readonly attempts: number
  readonly failures: number
  readonly sha256: Buffer | null
  readonly completed_at: Date | null
  readonly expires_at: Date | null
  readonly failure: string | null
}

const columns = `id, company_id, workspace_id, region, format, scope, from_time, to_time, status, created_at, tree_size, note,
  first_sequence, last_sequence, rows_written, bytes_written, file_name, attempts, failures, sha256, completed_at,
  expires_at, failure`

const numberOrNull = (text: string | null): number | null => (text === null ? null : Number(text))

const toJob = (row: JobRow): ExportJob => ({
  id: row.id,
  companyId: row.company_id,
  workspaceId: row.workspace_id,
  region: row.region,
  format: row.format,
  scope: row.scope,
  from: row.from_time,
  to: row.to_time,
  status: row.status,
  createdAt: row.created_at,
  snapshot:
    row.tree_size === null
      ? null
      : {
          treeSize: Number(row.tree_size),
          note: row.note,
          firstSequence: numberOrNull(row.first_sequence),
          lastSequence: numberOrNull(row.last_sequence),
        },
  rowsWritten: Number(row.rows_written),
  bytesWritten: Number(row.bytes_written),
  fileName: row.file_name,
  attempts: row.attempts,
  failures: row.failures,
  sha256: row.sha256,
  completedAt: row.completed_at,
  expiresAt: row.expires_at,
  failure: row.failure,
})

export type NewExport = Pick<
  ExportJob,
  'id' | 'companyId' | 'workspaceId' | 'region' | 'format' | 'scope' | 'from' | 'to' | 'createdAt'
>

/** Puts an export in the queue, unless the company has as many there, or finished and kept, as it may: null then. */
export async function insertExport(
  control: Database,
  job: NewExport,
  { openMax, keptMax }: { readonly openMax: number; readonly keptMax: number },
): Promise<ExportJob | null> {
  const rows = await control.query<JobRow>(
    `insert into export_job (id, company_id, workspace_id, region, format, from_time, to_time, created_at, scope)
     select $1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::timestamptz, $7::timestamptz, $8::timestamptz, $11::text
     where (select count(*) from export_job where company_id = $2 and status in ('QUEUED', 'RUNNING')) < $9::int
       and (select count(*) from export_job where company_id = $2 and status = 'DONE' and expires_at > $8) < $10::int
     returning ${columns}`,
    [
      job.id,
      job.companyId,
      job.workspaceId,
      job.region,
      job.format,
      job.from,
      job.to,
      job.createdAt,
      openMax,
      keptMax,
      job.scope,
    ],
    { name: 'insert_export' },
  )
  return rows[0] === undefined ? null : toJob(rows[0])
}

export async function findExport(control: Database, id: string, timeoutMs: number): Promise<ExportJob | null> {
  const rows = await control.query<JobRow>(`select ${columns} from export_job where id = $1`, [id], {
    name: 'find_export',
    timeoutMs,
  })
  return rows[0] === undefined ? null : toJob(rows[0])
}

/** The lease of one export: who writes it, and for how long unless it is renewed. */
export interface ExportLease {
  readonly id: string
  readonly owner: string
}

/** Takes the oldest export that nobody writes, of one of the regions; null where there is none. */
export async function claimExport(
  control: Database,
  owner: string,
  regions: readonly Region[],
  leaseMs: number,
): Promise<ExportJob | null> {
  const rows = await control.query<JobRow>(
    `update export_job set status = 'RUNNING', lease_owner = $1, attempts = attempts + 1,
       lease_until = clock_timestamp() + make_interval(secs => $2::float8 / 1000)
     where id = (
       select id from export_job
       where status in ('QUEUED', 'RUNNING') and (lease_until is null or lease_until < clock_timestamp())
         and region = any ($3::text[])
       order by created_at limit 1 for update skip locked)
     returning ${columns}`,
    [owner, leaseMs, regions],
    { name: 'claim_export' },
  )
  return rows[0] === undefined ? null : toJob(rows[0])
}

/** Fixes what the export holds. False where the lease is lost. */
export async function storeSnapshot(
  control: Database,
  lease: ExportLease,
  { treeSize, note, firstSequence, lastSequence }: ExportSnapshot,
): Promise<boolean> {
  const rows = await control.query(
    `update export_job set tree_size = $3, note = $4, first_sequence = $5, last_sequence = $6
     where id = $1 and lease_owner = $2 and status = 'RUNNING' and tree_size is null returning id`,
    [lease.id, lease.owner, treeSize, note, firstSequence, lastSequence],
    { name: 'store_export_snapshot' },
  )
  return rows.length === 1
}

/** Notes what is on disk, and renews the lease. False where the lease is lost. */
export async function storeProgress(
  control: Database,
  lease: ExportLease,
  progress: { readonly rows: number; readonly bytes: number; readonly fileName: string },
  leaseMs: number,
): Promise<boolean> {
  const rows = await control.query(
    `update export_job set rows_written = $3, bytes_written = $4, file_name = $5,
       failures = case when rows_written < $3 then 0 else failures end,
       lease_until = clock_timestamp() + make_interval(secs => $6::float8 / 1000)
     where id = $1 and lease_owner = $2 and status = 'RUNNING' returning id`,
    [lease.id, lease.owner, progress.rows, progress.bytes, progress.fileName, leaseMs],
    { name: 'store_export_progress' },
  )
  return rows.length === 1
}

/** Renews the lease. False where it is lost. */
export async function renewLease(control: Database, lease: ExportLease, leaseMs: number): Promise<boolean> {
  const rows = await control.query(
    `update export_job set lease_until = clock_timestamp() + make_interval(secs => $3::float8 / 1000)
     where id = $1 and lease_owner = $2 and status = 'RUNNING' returning id`,
    [lease.id, lease.owner, leaseMs],
    { name: 'renew_export_lease' },
  )
  return rows.length === 1
}

/** The file is whole. False where the lease is lost. */
export async function completeExport(
  control: Database,
  lease: ExportLease,
  done: {
    readonly rows: number
    readonly bytes: number
    readonly fileName: string
    readonly sha256: Buffer
    readonly completedAt: Date
    readonly expiresAt: Date
  },
): Promise<boolean> {
  const rows = await control.query(
    `update export_job set status = 'DONE', rows_written = $3, bytes_written = $4, file_name = $5, sha256 = $6,
       completed_at = $7, expires_at = $8, lease_owner = null, lease_until = null
     where id = $1 and lease_owner = $2 and status = 'RUNNING' returning id`,
    [lease.id, lease.owner, done.rows, done.bytes, done.fileName, done.sha256, done.completedAt, done.expiresAt],
    { name: 'complete_export' },
  )
  return rows.length === 1
}

/** Puts an export back to its beginning: what it was a snapshot of is no longer there. */
export async function restartExport(control: Database, lease: ExportLease): Promise<void> {
  await control.query(
    `update export_job set status = 'QUEUED', lease_owner = null, lease_until = null, tree_size = null, note = null,
       first_sequence = null, last_sequence = null, rows_written = 0, bytes_written = 0, file_name = null,
       failures = failures + 1
     where id = $1 and lease_owner = $2 and status = 'RUNNING'`,
    [lease.id, lease.owner],
    { name: 'restart_export' },
  )
}

/** Gives an export back to the queue; nobody takes it for `pauseMs`. `hasFailed` counts a failure. */
export async function releaseExport(
  control: Database,
  lease: ExportLease,
  { pauseMs, hasFailed }: { readonly pauseMs: number; readonly hasFailed: boolean },
): Promise<void> {
  await control.query(
    `update export_job set status = 'QUEUED', lease_owner = null, failures = failures + $4::int,
       lease_until = clock_timestamp() + make_interval(secs => $3::float8 / 1000)
     where id = $1 and lease_owner = $2 and status = 'RUNNING'`,
    [lease.id, lease.owner, pauseMs, hasFailed ? 1 : 0],
    { name: 'release_export' },
  )
}

export async function failExport(control: Database, lease: ExportLease, failure: string, now: Date): Promise<void> {
  await control.query(
    `update export_job set status = 'FAILED', failure = $3, completed_at = $4, lease_owner = null, lease_until = null
     where id = $1 and lease_owner = $2 and status = 'RUNNING'`,
    [lease.id, lease.owner, failure, now],
    { name: 'fail_export' },
  )
}

/** Marks exports that are past their time, and forgets those that ended long ago. */
export async function expireExports(control: Database, now: Date, forgetBefore: Date): Promise<void> {
  await control.query(`update export_job set status = 'EXPIRED' where status = 'DONE' and expires_at <= $1`, [now])
  await control.query(`delete from export_job where status in ('EXPIRED', 'FAILED') and created_at < $1`, [
    forgetBefore,
  ])
}

/** Of files by export id and name, those that an export still needs. */
export async function neededFiles(
  control: Database,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  const rows = await control.query<{ id: string; file_name: string | null }>(
    `select id, file_name from export_job where id = any ($1::uuid[]) and status in ('QUEUED', 'RUNNING', 'DONE')`,
    [ids],
    { name: 'needed_export_files' },
  )
  return new Map(rows.map((row) => [row.id, row.file_name]))
}
