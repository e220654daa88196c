import type { Transaction } from '../db/database.js'
import type { Database } from '../db/database.js'
import { bigintArray, byteaArray, textArray, timestampArray, uuidArray } from './binary-array.js'
import type { Region } from '../kernel/region.js'

/** A run of a workspace's chain that the global index has to learn of. */
export interface Stretch {
  /** The outbox row's id, as text. */
  readonly id: string
  readonly workspaceId: string
  readonly companyId: string
  readonly first: number
  readonly last: number
}

/** All that the global index knows of an event. No personal data: tags are HMACs. */
export interface IndexEntry {
  readonly event_id: string
  readonly company_id: string
  readonly workspace_id: string
  readonly project_id: string | null
  readonly occurred_at: Date
  readonly received_at: Date
  readonly action: string
  readonly category: string
  readonly target_type: string | null
  readonly actor_id_tag: Buffer | null
  readonly actor_email_tag: Buffer | null
  readonly target_id_tag: Buffer | null
  readonly trace_id_tag: Buffer | null
}

interface StretchRow {
  readonly id: string
  readonly workspace_id: string
  readonly company_id: string
  readonly first_sequence: string
  readonly last_sequence: string
}

/** Takes the oldest stretches that no other process is at, and keeps others away until the transaction ends. */
export async function takeStretches(tx: Transaction, limit: number): Promise<Stretch[]> {
  const rows = await tx.query<StretchRow>(
    `select id, workspace_id, company_id, first_sequence, last_sequence from index_outbox
     order by id limit $1 for update skip locked`,
    [limit],
    'take_index_stretches',
  )
  return rows.map((row) => ({
    id: row.id,
    workspaceId: row.workspace_id,
    companyId: row.company_id,
    first: Number(row.first_sequence),
    last: Number(row.last_sequence),
  }))
}

/** The index entries of whole stretches' events. Lets the transaction see the companies they belong to. */
export async function readEntries(tx: Transaction, stretches: readonly Stretch[]): Promise<IndexEntry[]> {
  const companies = [...new Set(stretches.map((stretch) => stretch.companyId))].join(',')
  await tx.query("select set_config('app.companies', $1, true)", [companies], 'set_companies')
  return tx.query<IndexEntry>(
    `select e.id as event_id, e.company_id, e.workspace_id, e.project_id, e.occurred_at, e.received_at, e.action, e.category,
       e.target_type, e.actor_id_tag, e.actor_email_tag, e.target_id_tag, e.trace_id_tag
     from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as s (workspace_id, first, last)
     join event e on e.workspace_id = s.workspace_id and e.sequence between s.first and s.last`,
    [
      uuidArray(stretches.map((stretch) => stretch.workspaceId)),
      bigintArray(stretches.map((stretch) => stretch.first)),
      bigintArray(stretches.map((stretch) => stretch.last)),
    ],
    'read_index_entries',
  )
}

/** Adds entries to the global index; those that it has already stay as they are. */
export async function insertEntries(
  control: Database,
  region: Region,
  entries: readonly IndexEntry[],
  timeoutMs: number,
): Promise<void> {
  await control.query(
    `insert into event_index (event_id, company_id, workspace_id, project_id, region, occurred_at, received_at, action,
       category, target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag)
     select event_id, company_id, workspace_id, project_id, $1, occurred_at, received_at, action, category, target_type,
       actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag
     from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::timestamptz[], $8::text[],
         $9::text[], $10::text[], $11::bytea[], $12::bytea[], $13::bytea[], $14::bytea[])
       as e (event_id, company_id, workspace_id, project_id, occurred_at, received_at, action, category, target_type,
         actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag)
     on conflict (event_id) do nothing`,
    [
      region,
      uuidArray(entries.map((entry) => entry.event_id)),
      uuidArray(entries.map((entry) => entry.company_id)),
      uuidArray(entries.map((entry) => entry.workspace_id)),
      uuidArray(entries.map((entry) => entry.project_id)),
      timestampArray(entries.map((entry) => entry.occurred_at)),
      timestampArray(entries.map((entry) => entry.received_at)),
      textArray(entries.map((entry) => entry.action)),
      textArray(entries.map((entry) => entry.category)),
      textArray(entries.map((entry) => entry.target_type)),
      byteaArray(entries.map((entry) => entry.actor_id_tag)),
      byteaArray(entries.map((entry) => entry.actor_email_tag)),
      byteaArray(entries.map((entry) => entry.target_id_tag)),
      byteaArray(entries.map((entry) => entry.trace_id_tag)),
    ],
    { name: 'insert_index_entries', timeoutMs },
  )
}

/** Forgets stretches that are indexed; of one that is indexed in part, `rest` is what remains. */
export async function settleStretches(
  tx: Transaction,
  done: readonly Stretch[],
  rest: { readonly id: string; readonly first: number } | null,
): Promise<void> {
  const ids = done.map((stretch) => stretch.id).filter((id) => id !== rest?.id)
  if (ids.length > 0)
    await tx.query('delete from index_outbox where id = any ($1::bigint[])', [ids], 'delete_index_stretches')
  if (rest !== null)
    await tx.query(
      'update index_outbox set first_sequence = $2 where id = $1',
      [rest.id, rest.first],
      'shorten_index_stretch',
    )
}

/** How many events the global index does not know yet, and whether there are any. */
export async function countPending(database: Database, timeoutMs: number): Promise<number> {
  const rows = await database.query<{ pending: string }>(
    'select coalesce(sum(last_sequence - first_sequence + 1), 0) as pending from index_outbox',
    [],
    { name: 'count_index_pending', timeoutMs },
  )
  return Number(rows[0]?.pending ?? 0)
}
