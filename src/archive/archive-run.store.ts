import { seeAllTenants } from '../checkpoints/checkpoint.store.js'
import type { Database, Transaction } from '../db/database.js'
import type { ArchiveRun } from './archive-object.js'

const TIMEOUT_MS = 30_000

/** A workspace with how long it keeps its events. */
export interface KeptWorkspace {
  readonly id: string
  readonly companyId: string
  readonly retentionDays: number
}

/** The workspaces of a region, of all companies. */
export const listKeptWorkspaces = (control: Database, region: string): Promise<KeptWorkspace[]> =>
  control.query<KeptWorkspace>(
    `select w.id, w.company_id as "companyId", coalesce(w.retention_days, c.retention_days) as "retentionDays"
     from workspace w join company c on c.id = w.company_id where w.data_region = $1 order by w.id`,
    [region],
    { name: 'kept_workspaces', timeoutMs: TIMEOUT_MS },
  )

/** Marks anew which runs of a chain were received before a moment; answers how many events they have. */
export async function markRuns(
  tx: Transaction,
  { id, companyId }: KeptWorkspace,
  cutoff: Date,
  now: Date,
): Promise<number> {
  await tx.query('delete from retention_mark where workspace_id = $1', [id], 'clear_retention_marks')
  const [row] = await tx.query<{ marked: string }>(
    `with mark as (
       insert into retention_mark (workspace_id, company_id, day, first_sequence, last_sequence, marked_at)
       select $1, $2, day, min(sequence), max(sequence), $4 from (
         select sequence, day, sequence - row_number() over (partition by day order by sequence) as island from (
           select sequence, (received_at at time zone 'UTC')::date as day from event
           where workspace_id = $1 and (received_at at time zone 'UTC') < ($3::timestamptz at time zone 'UTC')
         ) e
       ) e group by day, island
       returning last_sequence - first_sequence + 1 as events
     )
     select coalesce(sum(events), 0) as marked from mark`,
    [id, companyId, cutoff, now],
    'mark_retention',
  )
  return Number(row!.marked)
}

/** The workspaces with anything marked, of all tenants. */
export const listMarkedWorkspaces = (database: Database): Promise<{ workspaceId: string; events: number }[]> =>
  database.transaction({ companies: [], readOnly: true, timeoutMs: TIMEOUT_MS }, async (tx) => {
    await seeAllTenants(tx)
    return tx.query<{ workspaceId: string; events: number }>(
      `select workspace_id as "workspaceId", sum(last_sequence - first_sequence + 1)::float8 as events
       from retention_mark group by workspace_id order by workspace_id`,
    )
  })

interface RunRow {
  readonly day: string
  readonly first_sequence: string
  readonly last_sequence: string
}

/**
 * The next run of a chain that can be archived: what is marked and still past its retention, as many events as one
 * object takes, from the sequence `from` on. Null where there is none, or none that the global index knows already.
 */
export async function findNextRun(
  tx: Transaction,
  { id, companyId }: KeptWorkspace,
  cutoff: Date,
  from: number,
  { eventsMax, bytesMax }: { readonly eventsMax: number; readonly bytesMax: number },
): Promise<ArchiveRun | null> {
  const [row] = await tx.query<RunRow>(
    `select m.day::text as day, m.first_sequence, max(e.sequence) as last_sequence
     from (
       select day, greatest(first_sequence, $3::bigint) as first_sequence, last_sequence from retention_mark m
       where workspace_id = $1 and last_sequence >= $3::bigint and not exists (
         select from index_outbox x where x.workspace_id = m.workspace_id
           and x.first_sequence <= m.last_sequence and x.last_sequence >= m.first_sequence)
       order by first_sequence limit 1
     ) m
     cross join lateral (
       select sequence, row_number() over w as n, bool_and(received_at < $2) over w as is_past,
         sum(length(body) + 2 * (coalesce(length(identity_blob), 0) + coalesce(length(content_blob), 0))) over w as bytes
       from (
         select * from event where workspace_id = $1 and sequence between m.first_sequence and m.last_sequence
         order by sequence limit $4
       ) e window w as (order by sequence)
     ) e
     where e.is_past and (e.n = 1 or e.bytes <= $5) and e.sequence = m.first_sequence + e.n - 1
     group by m.day, m.first_sequence`,
    [id, cutoff, from, eventsMax, bytesMax],
    'next_archive_run',
  )
  if (row === undefined) return null
  return {
    companyId,
    workspaceId: id,
    day: row.day,
    firstSequence: Number(row.first_sequence),
    lastSequence: Number(row.last_sequence),
  }
}

/** Notes that what a workspace received before a moment is archived from now on. */
export async function noteArchived(control: Database, workspaceId: string, receivedBefore: Date): Promise<void> {
  await control.query(
    `insert into workspace_archive as a (workspace_id, received_before) values ($1, $2)
     on conflict (workspace_id) do update set received_before = greatest(a.received_before, excluded.received_before)`,
    [workspaceId, receivedBefore],
    { timeoutMs: TIMEOUT_MS },
  )
}

/**
 * Keeps others from claiming a key, and from deleting what lies under it, until the transaction ends: what nothing refers
 * to is deleted by its name, which the next attempt at the run has too.
 */
export const lockKey = (tx: Transaction, key: string): Promise<unknown> =>
  tx.query('select pg_advisory_xact_lock(701132745, hashtext($1))', [key], 'lock_archive_key')

/** Whether nothing refers to what lies under a key. */
export async function isGarbage(tx: Transaction, key: string): Promise<boolean> {
  const rows = await tx.query(
    `select from archive_garbage g where g.key = $1 and not exists (select from archive_object o where o.key = g.key)`,
    [key],
    'is_archive_garbage',
  )
  return rows.length > 0
}

/** Takes a run, or takes it over; answers the object's id. Null where it is stored already. */
export async function claimObject(
  tx: Transaction,
  run: ArchiveRun,
  claim: { readonly id: string; readonly key: string; readonly token: string; readonly now: Date },
): Promise<string | null> {
  const [row] = await tx.query<{ id: string | null }>(
    'select claim_archive_object($1::uuid, $2::uuid, $3::uuid, $4::date, $5::bigint, $6::bigint, $7::text, $8::uuid, $9::timestamptz) as id',
    [
      claim.id,
      run.workspaceId,
      run.companyId,
      run.day,
      run.firstSequence,
      run.lastSequence,
      claim.key,
      claim.token,
      claim.now,
    ],
    'claim_archive_object',
  )
  return row!.id
}

/** What was read back from the bucket. */
export interface VerifiedBytes {
  readonly sizeBytes: number
  readonly sha256: Buffer
  readonly rootHash: Buffer
}

/** False where another process took over. */
export async function noteVerified(
  tx: Transaction,
  { id, token }: { readonly id: string; readonly token: string },
  { sizeBytes, sha256, rootHash }: VerifiedBytes,
  now: Date,
): Promise<boolean> {
  const [row] = await tx.query<{ done: boolean }>(
    'select verify_archive_object($1::uuid, $2::uuid, $3::bigint, $4::bytea, $5::bytea, $6::timestamptz) as done',
    [id, token, sizeBytes, sha256, rootHash, now],
    'verify_archive_object',
  )
  return row!.done
}

/**
 * Moves the events of a verified object out of the table of events. False where another process took over. Throws
 * DatabaseError `serialization` where they are no longer those that were written.
 */
export async function moveEvents(
  tx: Transaction,
  { id, token }: { readonly id: string; readonly token: string },
  fingerprint: Buffer,
): Promise<boolean> {
  const [row] = await tx.query<{ done: boolean }>(
    'select archive_events($1::uuid, $2::uuid, $3::bytea) as done',
    [id, token, fingerprint],
    'archive_events',
  )
  return row!.done
}

/** Gives up a run that is not stored. */
export async function dropObject(tx: Transaction, id: string, now: Date): Promise<void> {
  await tx.query('select drop_archive_object($1::uuid, $2::timestamptz)', [id, now], 'drop_archive_object')
}

/** Runs of these chains that a process is at, or was when it died. */
export const listUnfinished = (tx: Transaction, workspaceIds: readonly string[]): Promise<{ id: string }[]> =>
  tx.query<{ id: string }>(
    `select id from archive_object where workspace_id = any ($1::uuid[]) and state <> 'STORED'`,
    [workspaceIds],
    'unfinished_archive_objects',
  )

/** Runs of all tenants that were begun before a moment and are not stored. */
export const listStale = (database: Database, begunBefore: Date): Promise<{ id: string; companyId: string }[]> =>
  database.transaction({ companies: [], readOnly: true, timeoutMs: TIMEOUT_MS }, async (tx) => {
    await seeAllTenants(tx)
    return tx.query<{ id: string; companyId: string }>(
      `select id, company_id as "companyId" from archive_object where state <> 'STORED' and created_at < $1`,
      [begunBefore],
    )
  })

/** A key whose object is to be deleted. */
export interface GarbageKey {
  readonly key: string
  readonly companyId: string
  /** The run is stored, under another key. */
  readonly isRewritten: boolean
  readonly notedAt: Date
}

/** Keys that hold nothing any more, of all tenants. */
export const listGarbage = (database: Database, limit: number): Promise<GarbageKey[]> =>
  database.transaction({ companies: [], readOnly: true, timeoutMs: TIMEOUT_MS }, async (tx) => {
    await seeAllTenants(tx)
    return tx.query<GarbageKey>(
      // A run that was given up and begun again has the key it had: it is written over, not deleted.
      `select g.key, g.company_id as "companyId", g.noted_at as "notedAt", exists (
         select from archive_object o where o.workspace_id = g.workspace_id and o.state = 'STORED'
           and g.key like '%.' || o.first_sequence || '-' || o.last_sequence || '.%') as "isRewritten"
       from archive_garbage g
       where not exists (select from archive_object o where o.key = g.key) order by g.key limit $1`,
      [limit],
    )
  })

export async function forgetGarbage(tx: Transaction, key: string): Promise<void> {
  await tx.query('delete from archive_garbage where key = $1', [key], 'forget_archive_garbage')
}

/** An event as it is to be archived. */
export interface RowToArchive {
  readonly sequence: string
  readonly id: string
  readonly project_id: string | null
  readonly term: number
  readonly body: Buffer
  readonly prev_hash: Buffer
  readonly hash: Buffer
  readonly identity_blob: Buffer | null
  readonly content_blob: Buffer | null
  readonly occurred_at: Date
  readonly received_at: Date
  readonly action: string
  readonly category: string
  readonly target_type: string | null
}

/** Events of a run after a sequence, in order, with what is left of their erased disclosures. */
export async function readRowsToArchive(
  tx: Transaction,
  { workspaceId, lastSequence }: ArchiveRun,
  after: number,
  limit: number,
): Promise<{ rows: RowToArchive[]; tombstones: { sequence: string; digest: Buffer; erasure_sequence: string }[] }> {
  const rows = await tx.query<RowToArchive>(
    `select sequence, id, project_id, term, body, prev_hash, hash, identity_blob, content_blob, occurred_at, received_at,
       action, category, target_type
     from event where workspace_id = $1 and sequence > $2 and sequence <= $3 order by sequence limit $4`,
    [workspaceId, after, lastSequence, limit],
    'rows_to_archive',
  )
  const last = rows.at(-1)?.sequence ?? after
  const tombstones = await tx.query<{ sequence: string; digest: Buffer; erasure_sequence: string }>(
    `select sequence, digest, erasure_sequence from tombstone
     where workspace_id = $1 and sequence > $2 and sequence <= $3 order by sequence, digest`,
    [workspaceId, after, last],
    'tombstones_to_archive',
  )
  return { rows, tombstones }
}

/** The hashes of a run's archived events, in order. */
export async function readArchivedHashes(
  tx: Transaction,
  { workspaceId, firstSequence, lastSequence }: ArchiveRun,
): Promise<readonly Buffer[]> {
  const [row] = await tx.query<{ hashes: Buffer | null }>(
    `select string_agg(hash, ''::bytea order by sequence) as hashes from archived_event
     where workspace_id = $1 and sequence between $2 and $3`,
    [workspaceId, firstSequence, lastSequence],
    'archived_hashes',
  )
  const hashes = row?.hashes ?? Buffer.alloc(0)
  return Array.from({ length: hashes.length / 32 }, (_, at) => hashes.subarray(at * 32, (at + 1) * 32))
}
