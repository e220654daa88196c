import type { Database, Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { ErasedTags } from './erasure.store.js'
import type { SubjectTags } from './subject.js'

const TIMEOUT_MS = 30_000

/** How far the chains of a company have been looked through for a request, by workspace. */
export async function readScans(control: Database, requestId: string): Promise<Map<string, number>> {
  const rows = await control.query<{ workspace_id: string; scanned_to: string }>(
    'select workspace_id, scanned_to from gdpr_scan where request_id = $1',
    [requestId],
    { timeoutMs: TIMEOUT_MS },
  )
  return new Map(rows.map((row) => [row.workspace_id, Number(row.scanned_to)]))
}

/** Notes how far a chain was looked through, never back, and how many events were erased on the way. */
export async function storeScan(
  control: Database,
  scan: {
    readonly requestId: string
    readonly workspaceId: string
    readonly scannedTo: number
    readonly erased: number
  },
): Promise<void> {
  const { requestId, workspaceId, scannedTo, erased } = scan
  await control.query(
    `with scan as (
       insert into gdpr_scan as s (request_id, workspace_id, scanned_to) values ($1, $2, $3)
       on conflict (request_id, workspace_id) do update set scanned_to = greatest(s.scanned_to, excluded.scanned_to)
     )
     update gdpr_request set erased_events = erased_events + $4, matched_events = greatest(matched_events, erased_events + $4)
     where id = $1 and $4 > 0`,
    [requestId, workspaceId, scannedTo, erased],
    { timeoutMs: TIMEOUT_MS },
  )
}

/** Sets the progress to what has been counted. */
export async function storeTotals(
  control: Pick<Database, 'query'>,
  requestId: string,
  totals: { readonly matched?: number; readonly erased?: number },
): Promise<void> {
  await control.query(
    `update gdpr_request set erased_events = coalesce($3, erased_events),
       matched_events = greatest(coalesce($2, 0), coalesce($3, erased_events)) where id = $1 and status = 'PROCESSING'`,
    [requestId, totals.matched ?? null, totals.erased ?? null],
  )
}

/** Notes what was erased from a store; `add` to what was noted before, else in its place. */
export async function storeEvidence(
  control: Database,
  requestId: string,
  evidence: { readonly region: Region; readonly store: string; readonly records: number; readonly completedAt: Date },
  how: 'add' | 'set',
): Promise<void> {
  const { region, store, records, completedAt } = evidence
  await control.query(
    `insert into gdpr_evidence as e (request_id, region, store, records, completed_at) values ($1, $2, $3, $4, $5)
     on conflict (request_id, region, store) do update
       set records = case when $6 then e.records else 0 end + excluded.records, completed_at = excluded.completed_at`,
    [requestId, region, store, records, completedAt, how === 'add'],
    { timeoutMs: TIMEOUT_MS },
  )
}

/** Takes from the global index the tags that these events have lost; answers the events changed. */
export async function clearIndexTags(control: Database, erased: readonly ErasedTags[]): Promise<number> {
  const rows = await control.query(
    `update event_index i set
       actor_id_tag = case when e.actor_id then null else i.actor_id_tag end,
       actor_email_tag = case when e.actor_email then null else i.actor_email_tag end,
       target_id_tag = case when e.target_id then null else i.target_id_tag end,
       trace_id_tag = case when e.trace_id then null else i.trace_id_tag end
     from unnest($1::uuid[], $2::boolean[], $3::boolean[], $4::boolean[], $5::boolean[])
       as e (id, actor_id, actor_email, target_id, trace_id)
     where i.event_id = e.id and ((e.actor_id and i.actor_id_tag is not null) or (e.actor_email and i.actor_email_tag is not null)
       or (e.target_id and i.target_id_tag is not null) or (e.trace_id and i.trace_id_tag is not null))
     returning i.event_id`,
    [
      erased.map(({ id }) => id),
      erased.map((one) => one.actor_id),
      erased.map((one) => one.actor_email),
      erased.map((one) => one.target_id),
      erased.map((one) => one.trace_id),
    ],
    { timeoutMs: TIMEOUT_MS },
  )
  return rows.length
}

/** How many events the global index still finds by the subject. */
export async function countIndexed(
  control: Database,
  workspaceIds: readonly string[],
  { actorIds, actorEmails, targetIds }: SubjectTags,
): Promise<number> {
  const [row] = await control.query<{ n: string }>(
    `select count(*) as n from event_index where workspace_id = any ($1::uuid[])
       and (actor_id_tag = any ($2::bytea[]) or actor_email_tag = any ($3::bytea[]) or target_id_tag = any ($4::bytea[]))`,
    [workspaceIds, actorIds, actorEmails, targetIds],
    { timeoutMs: TIMEOUT_MS },
  )
  return Number(row!.n)
}

/**
 * Nothing is left of the subject that was accepted before `upTo`, but for the request's own sealed copy: that goes now,
 * and its key next.
 */
export async function markErased(control: Database, requestId: string, upTo: Date): Promise<void> {
  await control.query(
    `update gdpr_request set erased_at = coalesce(erased_at, $2), subject = subject_digest, subject_tag = null,
       identifiers_sealed = null where id = $1 and status = 'PROCESSING'`,
    [requestId, upTo],
    { timeoutMs: TIMEOUT_MS },
  )
}

export async function markKeyDestroyed(control: Database, requestId: string, now: Date): Promise<void> {
  await control.query(
    'update gdpr_request set key_destroyed_at = $2 where id = $1 and key_destroyed_at is null',
    [requestId, now],
    { timeoutMs: TIMEOUT_MS },
  )
}

/**
 * DONE as of `upTo`, or (null) of when it was marked erased: everything accepted before is gone. False where it was
 * completed, or failed, before.
 */
export async function completeRequest(tx: Transaction, requestId: string, upTo: Date | null): Promise<boolean> {
  const rows = await tx.query(
    `update gdpr_request set status = 'DONE', completed_at = coalesce($2::timestamptz, erased_at), failure = null
     where id = $1 and status = 'PROCESSING' and erased_at is not null and key_destroyed_at is not null returning id`,
    [requestId, upTo],
  )
  return rows.length === 1
}

/** Tells every process that keys of a region are gone. */
export async function announceErasure(control: Database, region: Region): Promise<void> {
  await control.query('select pg_notify($1, $2)', [ERASURE_CHANNEL, region], { timeoutMs: TIMEOUT_MS })
}

/** The channel of the control database on which erasures are announced; payload: the region. */
export const ERASURE_CHANNEL = 'hyrelog_erasure'

/** Ends the exports of chains in which something was erased, and has those under way begin again; answers their ids. */
export const dropExports = (control: Database, workspaceIds: readonly string[], now: Date): Promise<{ id: string }[]> =>
  control.query<{ id: string }>(
    `update export_job set status = case when status = 'DONE' then 'EXPIRED' else 'QUEUED' end,
       lease_owner = null, lease_until = null,
       expires_at = case when status = 'DONE' then $2 else expires_at end,
       tree_size = case when status = 'DONE' then tree_size end, note = case when status = 'DONE' then note end,
       first_sequence = case when status = 'DONE' then first_sequence end,
       last_sequence = case when status = 'DONE' then last_sequence end,
       rows_written = case when status = 'DONE' then rows_written else 0 end,
       bytes_written = case when status = 'DONE' then bytes_written else 0 end,
       file_name = case when status = 'DONE' then file_name end
     where workspace_id = any ($1::uuid[]) and status in ('QUEUED', 'RUNNING', 'DONE') and tree_size is not null
     returning id`,
    [workspaceIds, now],
    { timeoutMs: TIMEOUT_MS },
  )
