import { bigintArray, byteaArray, smallintArray, uuidArray } from '../events/binary-array.js'
import type { Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { MerkleNode } from '../ledger/index.js'
import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import { checkpointColumns, checkpointValues } from '../checkpoints/checkpoint.store.js'
import { arraysInOrder, type ColumnArrays, columnList, columnParameters, rowDigest } from './event-columns.js'
import type { ReplicaHead, ReplicatedChain } from './replica-chain.js'

/*
 * Statements on the copies that a region keeps of other regions' chains. All of them run in transactions whose `schema`
 * is `replica`.
 */

interface HeadRow {
  readonly workspace_id: string
  readonly company_id: string
  readonly home_region: Region
  readonly term: number
  readonly sequence: string
  readonly hash: Buffer
  readonly frontier: Buffer
  readonly state: ReplicaHead['state']
  readonly stopped_reason: string | null
  readonly filled_at: Date | null
  readonly checked_sequence: string
  readonly dropped_sequence: string
}

const headColumns =
  'workspace_id, company_id, home_region, term, sequence, hash, frontier, state, stopped_reason, filled_at, checked_sequence, dropped_sequence'

const headOf = (row: HeadRow): ReplicaHead => ({
  workspaceId: row.workspace_id,
  companyId: row.company_id,
  home: row.home_region,
  term: row.term,
  sequence: Number(row.sequence),
  hash: row.hash,
  frontier: row.frontier,
  state: row.state,
  stoppedReason: row.stopped_reason,
  isFilled: row.filled_at !== null,
  checkedSequence: Number(row.checked_sequence),
  droppedSequence: Number(row.dropped_sequence),
})

/** Every replica of the region, or those of these chains; of all tenants where the transaction sees them. */
export async function listReplicaHeads(tx: Transaction, workspaceIds?: readonly string[]): Promise<ReplicaHead[]> {
  const rows =
    workspaceIds === undefined
      ? await tx.query<HeadRow>(`select ${headColumns} from chain_head order by workspace_id`, [], 'list_heads')
      : await tx.query<HeadRow>(
          `select ${headColumns} from chain_head where workspace_id = any ($1::uuid[]) order by workspace_id`,
          [uuidArray(workspaceIds)],
          'some_heads',
        )
  return rows.map(headOf)
}

/** The replica of a chain, or null. */
export async function findReplicaHead(tx: Transaction, workspaceId: string): Promise<ReplicaHead | null> {
  const rows = await tx.query<HeadRow>(
    `select ${headColumns} from chain_head where workspace_id = $1`,
    [workspaceId],
    'find_head',
  )
  return rows[0] === undefined ? null : headOf(rows[0])
}

/** {@link findReplicaHead}, locked until the transaction ends; null too where another process holds it just now. */
export async function lockReplicaHead(tx: Transaction, workspaceId: string): Promise<ReplicaHead | null> {
  const rows = await tx.query<HeadRow>(
    `select ${headColumns} from chain_head where workspace_id = $1 for update skip locked`,
    [workspaceId],
    'lock_head',
  )
  return rows[0] === undefined ? null : headOf(rows[0])
}

/** Begins replicas; those that are there stay as they are. */
export async function createReplicaHeads(tx: Transaction, chains: readonly ReplicatedChain[]): Promise<void> {
  await tx.query(
    `insert into chain_head (workspace_id, company_id, home_region)
     select * from unnest($1::uuid[], $2::uuid[], $3::text[]) on conflict do nothing`,
    [
      chains.map(({ workspaceId }) => workspaceId),
      chains.map(({ companyId }) => companyId),
      chains.map(({ home }) => home),
    ],
  )
}

/** What a verified stretch adds to a replica. */
export interface ReplicaExtension {
  readonly nodes: readonly MerkleNode[]
  readonly head: {
    readonly term: number
    readonly sequence: number
    readonly hash: Buffer
    readonly frontier: Buffer
  }
}

const insertEventsSql = `
  insert into event (workspace_id, ${columnList})
  select $1::uuid, * from unnest(${columnParameters(2)}) as e (${columnList})`

const insertEvents = (tx: Transaction, workspaceId: string, columns: ColumnArrays): Promise<unknown> =>
  tx.query(insertEventsSql, [workspaceId, ...arraysInOrder(columns)], 'insert_events')

/**
 * Stores a stretch and moves the head, which the caller holds. `columns` null: archives have the events, at home too; the
 * tree goes on over them.
 */
export async function extendReplica(
  tx: Transaction,
  { workspaceId, companyId }: ReplicatedChain,
  columns: ColumnArrays | null,
  { nodes, head }: ReplicaExtension,
): Promise<void> {
  const written: Promise<unknown>[] = columns === null ? [] : [insertEvents(tx, workspaceId, columns)]
  if (nodes.length > 0)
    written.push(
      tx.query(
        `insert into merkle_node (workspace_id, company_id, level, index, hash)
         select $1::uuid, $2::uuid, n.* from unnest($3::smallint[], $4::bigint[], $5::bytea[]) as n`,
        [
          workspaceId,
          companyId,
          smallintArray(nodes.map(({ level }) => level)),
          bigintArray(nodes.map(({ index }) => index)),
          byteaArray(nodes.map(({ hash }) => hash)),
        ],
        'insert_nodes',
      ),
    )
  written.push(
    tx.query(
      `update chain_head set term = $2, sequence = $3, hash = $4, frontier = $5, updated_at = now(),
         dropped_sequence = case when $6 then $3 else dropped_sequence end where workspace_id = $1`,
      [workspaceId, head.term, head.sequence, head.hash, head.frontier, columns === null],
      'move_head',
    ),
  )
  await Promise.all(written)
}

/** Puts events as they are at home now in the place of those stored under these sequences; what home no longer has goes. */
export async function replaceEvents(
  tx: Transaction,
  workspaceId: string,
  sequences: readonly number[],
  columns: ColumnArrays | null,
): Promise<void> {
  await tx.query(
    'delete from event where workspace_id = $1 and sequence = any ($2::bigint[])',
    [workspaceId, bigintArray(sequences)],
    'delete_events',
  )
  if (columns !== null) await insertEvents(tx, workspaceId, columns)
}

/** A tombstone as home keeps it. */
export interface StoredTombstone {
  readonly sequence: number
  readonly digest: Buffer
  readonly erasure: number
}

export async function insertTombstones(
  tx: Transaction,
  { workspaceId, companyId }: ReplicatedChain,
  tombstones: readonly StoredTombstone[],
): Promise<void> {
  await tx.query(
    `insert into tombstone (workspace_id, company_id, sequence, digest, erasure_sequence)
     select $1::uuid, $2::uuid, t.* from unnest($3::bigint[], $4::bytea[], $5::bigint[]) as t`,
    [
      workspaceId,
      companyId,
      bigintArray(tombstones.map(({ sequence }) => sequence)),
      byteaArray(tombstones.map(({ digest }) => digest)),
      bigintArray(tombstones.map(({ erasure }) => erasure)),
    ],
    'insert_tombstones',
  )
}

/** Keeps checkpoints that the replica's own tree agrees with: the newest as such, the others as history. */
export async function keepCheckpoints(
  tx: Transaction,
  newest: SignedCheckpoint | null,
  history: readonly SignedCheckpoint[],
): Promise<void> {
  if (newest !== null)
    await tx.query(
      `insert into checkpoint as c (${checkpointColumns})
       select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[], $5::text[], $6::timestamptz[])
       on conflict (workspace_id) do update set tree_size = excluded.tree_size, root_hash = excluded.root_hash,
         note = excluded.note, signed_at = excluded.signed_at where c.tree_size < excluded.tree_size`,
      checkpointValues([newest]),
      'keep_checkpoint',
    )
  if (history.length > 0)
    await tx.query(
      `insert into checkpoint_history (${checkpointColumns})
       select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[], $5::text[], $6::timestamptz[])
       on conflict do nothing`,
      checkpointValues(history),
      'keep_history',
    )
}

/** The size of the newest checkpoint that is kept; 0: none. */
export async function findCheckpointSize(tx: Transaction, workspaceId: string): Promise<number> {
  const rows = await tx.query<{ tree_size: string }>(
    'select tree_size from checkpoint where workspace_id = $1',
    [workspaceId],
    'checkpoint_size',
  )
  return Number(rows[0]?.tree_size ?? 0)
}

/** From now on the replica may be read. */
export const markFilled = (tx: Transaction, workspaceIds: readonly string[]): Promise<unknown> =>
  tx.query('update chain_head set filled_at = now() where workspace_id = any ($1::uuid[]) and filled_at is null', [
    uuidArray(workspaceIds),
  ])

/** Nothing is copied to the replica, nor read from it, until somebody has it rebuilt. */
export const stopReplica = (tx: Transaction, workspaceId: string, reason: string): Promise<unknown> =>
  tx.query(
    `update chain_head set state = 'STOPPED', stopped_reason = $2, updated_at = now()
     where workspace_id = $1 and state = 'COPYING'`,
    [workspaceId, reason],
  )

/** The replica is to be deleted; whether it begins anew is decided when nothing is left of it. */
export async function markForPurge(tx: Transaction, workspaceIds: readonly string[]): Promise<number> {
  const rows = await tx.query(
    `update chain_head set state = 'PURGING', stopped_reason = null, filled_at = null, updated_at = now()
     where workspace_id = any ($1::uuid[]) returning workspace_id`,
    [uuidArray(workspaceIds)],
  )
  return rows.length
}

const rowTables = ['event', 'tombstone', 'merkle_node', 'checkpoint_history', 'checkpoint'] as const

/** Whether the replica is being deleted; if so, it is held until the transaction ends: nobody begins it anew meanwhile. */
export async function holdPurging(tx: Transaction, workspaceId: string): Promise<boolean> {
  const rows = await tx.query(
    `select 1 from chain_head where workspace_id = $1 and state = 'PURGING' for update`,
    [workspaceId],
    'hold_purging',
  )
  return rows.length > 0
}

/**
 * Deletes up to `limit` rows of each kind of a replica that is to be deleted; answers how many there were. None of one
 * that another process has emptied and begun anew.
 */
export async function deleteRows(tx: Transaction, workspaceId: string, limit: number): Promise<number> {
  if (!(await holdPurging(tx, workspaceId))) return 0
  let deleted = 0
  for (const table of rowTables) {
    const [row] = await tx.query<{ count: number }>(
      `with gone as (
         delete from ${table} where ctid = any (array(select ctid from ${table} where workspace_id = $1 limit $2)) returning 1)
       select count(*)::integer as count from gone`,
      [workspaceId, limit],
      `purge_${table}`,
    )
    deleted += row!.count
  }
  return deleted
}

/** Begins a replica anew whose rows are gone. */
export const resetReplica = (tx: Transaction, workspaceId: string): Promise<unknown> =>
  tx.query(
    `update chain_head set state = 'COPYING', stopped_reason = null, term = 1, sequence = 0, filled_at = null,
       hash = decode(repeat('00', 32), 'hex'), frontier = '', checked_sequence = 0, dropped_sequence = 0, updated_at = now()
     where workspace_id = $1 and state = 'PURGING'`,
    [workspaceId],
  )

export const deleteReplicaHead = (tx: Transaction, workspaceId: string): Promise<unknown> =>
  tx.query(`delete from chain_head where workspace_id = $1 and state = 'PURGING'`, [workspaceId])

/** Takes away a stretch that archives took from home: bodies and blobs are no longer in the region's tables. */
export async function dropEvents(tx: Transaction, workspaceId: string, first: number, last: number): Promise<void> {
  await tx.query('delete from event where workspace_id = $1 and sequence between $2 and $3', [workspaceId, first, last])
  await markDropped(tx, workspaceId, last)
}

/** Notes up to where events may be missing, since archives have them. */
export const markDropped = (tx: Transaction, workspaceId: string, last: number): Promise<unknown> =>
  tx.query('update chain_head set dropped_sequence = greatest(dropped_sequence, $2) where workspace_id = $1', [
    workspaceId,
    last,
  ])

/** The first event that is stored; null where none is. */
export async function findFirstSequence(tx: Transaction, workspaceId: string): Promise<number | null> {
  const [row] = await tx.query<{ sequence: string }>(
    'select sequence from event where workspace_id = $1 order by sequence limit 1',
    [workspaceId],
    'first_sequence',
  )
  return row === undefined ? null : Number(row.sequence)
}

/** The hash of a stored event, or null. */
export async function findHash(tx: Transaction, workspaceId: string, sequence: number): Promise<Buffer | null> {
  const [row] = await tx.query<{ hash: Buffer }>(
    'select hash from event where workspace_id = $1 and sequence = $2',
    [workspaceId, sequence],
    'find_hash',
  )
  return row?.hash ?? null
}

/** What the rows of a stretch come to. */
export async function digestsOf(
  tx: Transaction,
  workspaceId: string,
  after: number,
  upTo: number,
): Promise<ReadonlyMap<number, string>> {
  const rows = await tx.query<{ sequence: string; digest: string }>(
    `select e.sequence, encode(${rowDigest}, 'hex') as digest from event e
     where e.workspace_id = $1 and e.sequence > $2 and e.sequence <= $3`,
    [workspaceId, after, upTo],
    'row_digests',
  )
  return new Map(rows.map((row) => [Number(row.sequence), row.digest]))
}

export const markChecked = (tx: Transaction, workspaceId: string, sequence: number): Promise<unknown> =>
  tx.query('update chain_head set checked_sequence = $2 where workspace_id = $1', [workspaceId, sequence])
