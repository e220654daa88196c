import type { Transaction } from '../db/database.js'
import type { Database } from '../db/database.js'
import { bigintArray, uuidArray } from './binary-array.js'
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

/** What the global index knows of an event, in the order in which it is read and written. No personal data: tags are HMACs. */
const indexColumns = [
  ['id', 'uuid'],
  ['company_id', 'uuid'],
  ['workspace_id', 'uuid'],
  ['project_id', 'uuid'],
  ['occurred_at', 'timestamptz'],
  ['received_at', 'timestamptz'],
  ['action', 'text'],
  ['category', 'text'],
  ['target_type', 'text'],
  ['actor_id_tag', 'bytea'],
  ['actor_email_tag', 'bytea'],
  ['target_id_tag', 'bytea'],
  ['trace_id_tag', 'bytea'],
] as const
type IndexColumn = (typeof indexColumns)[number][0]

/** Index entries on their way from one database to the other, which nobody in between has to understand. */
export interface IndexEntries {
  readonly count: number
  /** One array per column, in PostgreSQL's binary form: what one server sends the other takes. */
  readonly columns: readonly Buffer[]
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

const readSql = `
  select count(*)::integer as count, ${indexColumns.map(([name]) => `array_send(array_agg(e.${name})) as ${name}`).join(', ')}
  from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as s (workspace_id, first, last)
  join event e on e.workspace_id = s.workspace_id and e.sequence between s.first and s.last`

/** The index entries of whole stretches' events. Lets the transaction see the companies they belong to. */
export async function readEntries(tx: Transaction, stretches: readonly Stretch[]): Promise<IndexEntries> {
  const companies = [...new Set(stretches.map((stretch) => stretch.companyId))].join(',')
  const [, rows] = await Promise.all([
    tx.query("select set_config('app.companies', $1, true)", [companies], 'set_companies'),
    tx.query<{ count: number } & Record<IndexColumn, Buffer>>(
      readSql,
      [
        uuidArray(stretches.map((stretch) => stretch.workspaceId)),
        bigintArray(stretches.map((stretch) => stretch.first)),
        bigintArray(stretches.map((stretch) => stretch.last)),
      ],
      'read_index_entries',
    ),
  ])
  const row = rows[0]!
  return { count: row.count, columns: indexColumns.map(([name]) => row[name]) }
}

const names = indexColumns.map(([name]) => name)
const namesButId = names.slice(1).join(', ')
const insertSql = `
  insert into event_index (event_id, region, ${namesButId})
  select id, $1, ${namesButId}
  from unnest(${indexColumns.map(([, type], index) => `$${index + 2}::${type}[]`).join(', ')}) as e (${names.join(', ')})
  on conflict (event_id) do nothing`

/** Adds entries to the global index; those that it has already stay as they are. */
export async function insertEntries(
  control: Database,
  region: Region,
  entries: IndexEntries,
  timeoutMs: number,
): Promise<void> {
  await control.query(insertSql, [region, ...entries.columns], { name: 'insert_index_entries', timeoutMs })
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
