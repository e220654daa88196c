import type { Database, Transaction } from '../db/database.js'
import type { JsonObject } from '../kernel/canonical-json.js'
import type { Region } from '../kernel/region.js'

const TIMEOUT_MS = 5_000

// All times of leases are the database's: processes whose clocks differ agree on when one is over.

/** Who holds a lease, and what it is for. */
export interface Lease {
  readonly runId: string
  readonly isOver: boolean
  readonly slot: Date | null
  readonly attempt: number
  readonly place: JsonObject | null
  /** The run's word where it has ended already and left the rest of its work to others. */
  readonly error: string | null
}

interface LeaseRow {
  readonly run_id: string
  readonly is_over: boolean
  readonly slot: Date | null
  readonly attempt: number
  readonly progress: JsonObject | null
  readonly error: string | null
}

/** The lease of a job, locked until the transaction ends. */
export async function lockLease(tx: Transaction, job: string, region: Region | null): Promise<Lease | null> {
  const rows = await tx.query<LeaseRow>(
    `select l.run_id, l.expires_at <= clock_timestamp() as is_over, r.slot, r.attempt, r.progress, r.error
     from job_lease l join job_run r on r.id = l.run_id
     where l.job = $1 and l.region = $2 for update of l`,
    [job, region ?? ''],
    'job_lease_lock',
  )
  const row = rows[0]
  if (row === undefined) return null
  const { run_id: runId, is_over: isOver, slot, attempt, progress: place, error } = row
  return { runId, isOver, slot, attempt, place, error }
}

/** False where somebody else was quicker. */
export async function insertLease(
  tx: Transaction,
  job: string,
  region: Region | null,
  runId: string,
  leaseMs: number,
): Promise<boolean> {
  const rows = await tx.query(
    `insert into job_lease (job, region, run_id, expires_at)
     values ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond') on conflict do nothing returning run_id`,
    [job, region ?? '', runId, leaseMs],
    'job_lease_insert',
  )
  return rows.length > 0
}

/** Gives a lease that the caller has locked to another run. */
export async function passLease(
  tx: Transaction,
  job: string,
  region: Region | null,
  runId: string,
  leaseMs: number,
): Promise<void> {
  await tx.query(
    `update job_lease set run_id = $3, expires_at = clock_timestamp() + $4 * interval '1 millisecond'
     where job = $1 and region = $2`,
    [job, region ?? '', runId, leaseMs],
    'job_lease_pass',
  )
}

export async function deleteLease(tx: Transaction, runId: string): Promise<void> {
  await tx.query('delete from job_lease where run_id = $1', [runId], 'job_lease_delete')
}

/** Ends a lease and leaves it to be found: whoever finds it goes on with the work. */
export async function leaveLease(tx: Transaction, runId: string): Promise<void> {
  await tx.query('update job_lease set expires_at = clock_timestamp() where run_id = $1', [runId], 'job_lease_leave')
}

/** Renews a lease and notes how far its run is. False where it is another's by now. */
export async function renewLease(
  control: Database,
  run: { readonly runId: string; readonly processed: number; readonly place: JsonObject | null },
  leaseMs: number,
  timeoutMs: number,
): Promise<boolean> {
  const rows = await control.query(
    `with held as (
       update job_lease set expires_at = clock_timestamp() + $2 * interval '1 millisecond' where run_id = $1
       returning run_id)
     update job_run set processed = $3, progress = coalesce($4::jsonb, progress)
     where id = (select run_id from held) and outcome = 'RUNNING' returning id`,
    [run.runId, leaseMs, run.processed, run.place === null ? null : JSON.stringify(run.place)],
    { timeoutMs, name: 'job_lease_renew' },
  )
  return rows.length > 0
}

/** Leases whose holders did not renew them, or left them. */
export function findEndedLeases(control: Database): Promise<{ job: string; region: Region | null }[]> {
  return control.query<{ job: string; region: Region | null }>(
    `select job, nullif(region, '') as region from job_lease where expires_at <= clock_timestamp()`,
    [],
    { timeoutMs: TIMEOUT_MS, name: 'job_lease_ended' },
  )
}
