import type { Database, Transaction } from '../db/database.js'
import type { JsonObject } from '../kernel/canonical-json.js'
import type { Region } from '../kernel/region.js'
import type { JobRun } from './job-run.js'

const TIMEOUT_MS = 5_000

interface RunRow {
  readonly id: string
  readonly job: string
  readonly region: Region | null
  readonly started_at: Date
  readonly finished_at: Date | null
  readonly outcome: JobRun['outcome']
  readonly processed: string
  readonly error: string | null
}

const columns = 'id, job, region, started_at, finished_at, outcome, processed, error'

const runOf = (row: RunRow): JobRun => ({
  id: row.id,
  job: row.job,
  region: row.region,
  startedAt: row.started_at,
  finishedAt: row.finished_at,
  outcome: row.outcome,
  processed: Number(row.processed),
  error: row.error,
})

/** The newest runs of each of these jobs, newest first. */
export async function listRuns(control: Database, jobs: readonly string[], limit: number): Promise<JobRun[]> {
  const rows = await control.query<RunRow>(
    `select ${columns} from unnest($1::text[]) as wanted (name)
     cross join lateral (
       select * from job_run where job = wanted.name order by started_at desc, id desc limit $2
     ) as newest`,
    [jobs, limit],
    { timeoutMs: TIMEOUT_MS, name: 'job_run_list' },
  )
  return rows.map(runOf)
}

export async function findRun(control: Database, id: string): Promise<JobRun | null> {
  const rows = await control.query<RunRow>(`select ${columns} from job_run where id = $1`, [id], {
    timeoutMs: TIMEOUT_MS,
  })
  return rows[0] === undefined ? null : runOf(rows[0])
}

/**
 * Takes a tick; false where another process has it. With `unlessNew`, a job that never had one only has it noted: there
 * was nothing to miss.
 */
export async function takeSlot(
  tx: Transaction,
  job: string,
  region: Region | null,
  slot: Date,
  unlessNew: boolean,
): Promise<boolean> {
  const rows = await tx.query<{ known: boolean }>(
    `with before as (select exists (select from job_slot where job = $1 and region = $2) as known)
     insert into job_slot (job, region, slot) values ($1, $2, $3) on conflict do nothing
     returning (select known from before) as known`,
    [job, region ?? '', slot],
    'job_slot_take',
  )
  return rows[0] !== undefined && (rows[0].known || !unlessNew)
}

/** Whether a tick later than this one was taken. */
export async function hasLaterSlot(tx: Transaction, job: string, region: Region | null, slot: Date): Promise<boolean> {
  const rows = await tx.query('select from job_slot where job = $1 and region = $2 and slot > $3 limit 1', [
    job,
    region ?? '',
    slot,
  ])
  return rows.length > 0
}

/** A new row of the history, already over where the outcome is `SKIPPED`. */
export async function insertRun(
  tx: Transaction,
  run: {
    readonly id: string
    readonly job: string
    readonly region: Region | null
    readonly slot: Date | null
    readonly attempt: number
    readonly outcome: 'RUNNING' | 'SKIPPED'
    readonly error: string | null
  },
): Promise<void> {
  await tx.query(
    `insert into job_run (id, job, region, slot, attempt, outcome, error, finished_at)
     values ($1, $2, $3, $4, $5, $6, $7, case when $6 = 'RUNNING' then null else clock_timestamp() end)`,
    [run.id, run.job, run.region, run.slot, run.attempt, run.outcome, run.error],
    'job_run_insert',
  )
}

/** Closes a run whose process is gone. */
export async function closeLostRun(tx: Transaction, runId: string, word: string): Promise<void> {
  await tx.query(
    `update job_run set outcome = 'FAILED', error = $2, finished_at = clock_timestamp() where id = $1 and outcome = 'RUNNING'`,
    [runId, word],
  )
}

/** What a finished run leaves behind. */
export interface RunEnding {
  readonly runId: string
  readonly outcome: 'SUCCEEDED' | 'FAILED'
  readonly processed: number
  readonly place: JsonObject | null
  readonly error: string | null
}

/** False where the run had been closed by others, who took its process for dead. */
export async function endRun(tx: Transaction, ending: RunEnding): Promise<boolean> {
  const rows = await tx.query(
    `update job_run set outcome = $2, processed = $3, progress = coalesce($4::jsonb, progress), error = $5,
       finished_at = clock_timestamp()
     where id = $1 and outcome = 'RUNNING' returning id`,
    [
      ending.runId,
      ending.outcome,
      ending.processed,
      ending.place === null ? null : JSON.stringify(ending.place),
      ending.error,
    ],
    'job_run_end',
  )
  return rows.length > 0
}

/** Deletes what is older than these moments: ended runs, and slots other than each job's newest. Answers how many rows. */
export async function deleteOldRuns(
  control: Database,
  runsBefore: Date,
  slotsBefore: Date,
  limit: number,
): Promise<number> {
  const runs = await control.query(
    `delete from job_run where id in (
       select id from job_run where finished_at < $1 and not exists (select from job_lease where run_id = job_run.id)
       limit $2) returning id`,
    [runsBefore, limit],
  )
  const slots = await control.query(
    `delete from job_slot using (
       select job, region, slot from job_slot as old where slot < $1
         and exists (select from job_slot as later where later.job = old.job and later.region = old.region and later.slot > old.slot)
       limit $2) as old
     where job_slot.job = old.job and job_slot.region = old.region and job_slot.slot = old.slot returning 1`,
    [slotsBefore, limit],
  )
  return runs.length + slots.length
}
