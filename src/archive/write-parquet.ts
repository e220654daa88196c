import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer'
import { uuidToBytes } from '../kernel/ids.js'
import type { ObjectStore } from '../objects/object-store.js'
import { archiveKey, type ArchiveRun, parquetKeyOf } from './archive-object.js'
import type { RowToArchive } from './archive-run.store.js'
import { putSmall } from './write-object.js'

const CONTENT_TYPE = 'application/vnd.apache.parquet'

/** What of an event is no personal data. */
export type ClearColumns = Pick<
  RowToArchive,
  'sequence' | 'id' | 'project_id' | 'action' | 'category' | 'target_type' | 'occurred_at' | 'received_at' | 'hash'
>

/** An event without its body and blobs: a run of these is held in memory. */
export function clearColumnsOf(row: RowToArchive): ClearColumns {
  const { sequence, id, project_id, action, category, target_type, occurred_at, received_at, hash } = row
  return { sequence, id, project_id, action, category, target_type, occurred_at, received_at, hash }
}

/**
 * Writes the clear columns of a run as Parquet, in folders `company=/workspace=/day=`, so that Athena, Trino, Spark or
 * DuckDB query history where it lies. Nothing of it is personal data: an erasure changes nothing in it.
 */
export async function writeParquet(store: ObjectStore, run: ArchiveRun, rows: readonly ClearColumns[]): Promise<void> {
  const bytes = new Uint8Array(parquetWriteBuffer({ columnData: columnsOf(rows) }))
  await putSmall(store, parquetKeyOf(archiveKey(run)), bytes, CONTENT_TYPE)
}

function columnsOf(rows: readonly ClearColumns[]): ColumnSource[] {
  const text = (name: string, of: (row: ClearColumns) => string | null): ColumnSource => ({
    name,
    type: 'STRING',
    data: rows.map(of),
    nullable: true,
  })
  return [
    { name: 'sequence', type: 'INT64', data: rows.map(({ sequence }) => BigInt(sequence)) },
    { name: 'id', type: 'UUID', data: rows.map(({ id }) => uuidToBytes(id)) },
    text('project_id', (row) => row.project_id),
    text('action', (row) => row.action),
    text('category', (row) => row.category),
    text('target_type', (row) => row.target_type),
    { name: 'occurred_at', type: 'TIMESTAMP', data: rows.map((row) => row.occurred_at) },
    { name: 'received_at', type: 'TIMESTAMP', data: rows.map((row) => row.received_at) },
    text('hash', (row) => row.hash.toString('hex')),
  ]
}
