import { checkpointColumns, seeAllTenants, toCheckpoint } from '../checkpoints/checkpoint.store.js'
import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import type { Transaction } from '../db/database.js'
import { bigintArray, uuidArray } from '../events/binary-array.js'
import type { BlobName } from '../sealing/sealed-blob.js'
import { bodyHashesOf, type LinkArrays } from './check-stretch.js'
import { type ColumnArrays, columnArrays, columnList, rowDigest } from './event-columns.js'
import { bytesOf } from './read-array.js'
import { ReplicaFault } from './replica-chain.js'
import type { StoredTombstone } from './replica.store.js'

/** One statement, one step: whatever the events are like, this much of them is in memory at a time. */
const STRETCH_EVENTS_MAX = 2_000
/** Bodies and blobs of one stretch; a single event may be larger. */
const STRETCH_BYTES_MAX = 8_388_608
const TOMBSTONES_MAX = 1_000_000
const RUNS_MAX = 1_000

/** How far a chain is at home. */
export interface HomeHead {
  readonly workspaceId: string
  readonly sequence: number
  readonly checkpoint: SignedCheckpoint | null
}

type CheckpointRow = Parameters<typeof toCheckpoint>[0]

/** The heads of these chains, of all tenants; those that have no event yet may be left out. */
export async function readHomeHeads(tx: Transaction, workspaceIds: readonly string[]): Promise<HomeHead[]> {
  await seeAllTenants(tx)
  const rows = await tx.query<Omit<CheckpointRow, 'note'> & { sequence: string; note: string | null }>(
    `select h.workspace_id, h.company_id, h.sequence, c.tree_size, c.root_hash, c.note, c.signed_at
     from chain_head h left join checkpoint c on c.workspace_id = h.workspace_id
     where h.workspace_id = any ($1::uuid[])`,
    [uuidArray(workspaceIds)],
    'replication_heads',
  )
  return rows.map((row) => ({
    workspaceId: row.workspace_id,
    sequence: Number(row.sequence),
    checkpoint: row.note === null ? null : toCheckpoint({ ...row, note: row.note }),
  }))
}

/**
 * Events of a chain in the order of their sequences without a gap, all in the tables or all in archives, and what else was
 * stored of them at the same moment.
 */
export interface HomeStretch {
  readonly count: number
  /** Null: archives have them. */
  readonly columns: ColumnArrays | null
  readonly links: LinkArrays
  /** Of archived events what home says, of others what their bodies come to. */
  readonly bodyHashes: readonly Buffer[]
  /** Bodies of the erasures among them, by their sequences. */
  readonly erasures: ReadonlyMap<number, Buffer>
  /** Checkpoints of sizes that these events reach. */
  readonly history: readonly SignedCheckpoint[]
  readonly newest: SignedCheckpoint | null
}

const isErasure = `e.action = 'gdpr.erasure' and e.category = 'system'`
const erasureArrays = `array_agg(e.sequence::text) filter (where ${isErasure}) as erasures,
    array_agg(e.body) filter (where ${isErasure}) as erasure_bodies`
const bytesOfRow = 'length(body) + coalesce(length(identity_blob), 0) + coalesce(length(content_blob), 0)'

const stretchSql = `
  select count(*)::integer as count, ${columnArrays}, ${erasureArrays}
  from (
    select ${columnList} from (
      select ${columnList}, sum(${bytesOfRow}) over (order by sequence) - (${bytesOfRow}) as bytes_before,
        row_number() over (order by sequence) as place
      from (
        select ${columnList} from event where workspace_id = $1 and sequence > $2 order by sequence limit ${STRETCH_EVENTS_MAX}
      ) e
    ) e where bytes_before < ${STRETCH_BYTES_MAX} and sequence = $2 + place order by sequence
  ) e`

// What archives have is followed in the tree only; the service's own events keep their bodies in the tables.
const archivedStretchSql = `
  select count(*)::integer as count, array_send(array_agg(e.sequence)) as sequence, array_send(array_agg(e.term)) as term,
    array_send(array_agg(e.prev_hash)) as prev_hash, array_send(array_agg(e.hash)) as hash,
    array_send(array_agg(e.body_hash)) as body_hash, ${erasureArrays}
  from (
    select * from (
      select *, row_number() over (order by sequence) as place
      from (
        select * from archived_event where workspace_id = $1 and sequence > $2 order by sequence limit ${STRETCH_EVENTS_MAX}
      ) e
    ) e where sequence = $2 + place order by sequence
  ) e`

interface ErasureColumns {
  readonly count: number
  readonly erasures: string[] | null
  readonly erasure_bodies: Buffer[] | null
}

/**
 * What comes after a sequence; null where nothing does. Throws {@link ReplicaFault} where something does, but not the
 * next event.
 */
export async function readStretch(tx: Transaction, workspaceId: string, after: number): Promise<HomeStretch | null> {
  // Events first: what leaves the table meanwhile is then found in archives, and a checkpoint read later may be of more
  // of them, which does no harm.
  const [rows, archivedRows, beyond, history, newest] = await Promise.all([
    tx.query<ColumnArrays & ErasureColumns>(stretchSql, [workspaceId, after], 'replication_stretch'),
    tx.query<LinkArrays & { readonly body_hash: Buffer } & ErasureColumns>(
      archivedStretchSql,
      [workspaceId, after],
      'replication_archived',
    ),
    tx.query(
      'select from event where workspace_id = $1 and sequence > $2 limit 1',
      [workspaceId, after],
      'replication_beyond',
    ),
    tx.query<CheckpointRow>(
      `select ${checkpointColumns} from checkpoint_history
       where workspace_id = $1 and tree_size > $2 and tree_size <= $2 + ${STRETCH_EVENTS_MAX}`,
      [workspaceId, after],
      'replication_history',
    ),
    tx.query<CheckpointRow>(
      `select ${checkpointColumns} from checkpoint where workspace_id = $1 and tree_size > $2`,
      [workspaceId, after],
      'replication_checkpoint',
    ),
  ])
  const own = rows[0]!
  const archived = archivedRows[0]!
  const row = own.count > 0 ? own : archived
  if (row.count === 0) {
    if (beyond.length > 0) throw new ReplicaFault('CHAIN_MISMATCH', after + 1)
    return null
  }
  const erased = (row.erasures ?? []).map((sequence, index) => [Number(sequence), row.erasure_bodies![index]!] as const)
  return {
    count: row.count,
    columns: own.count > 0 ? own : null,
    links: row,
    bodyHashes: own.count > 0 ? bodyHashesOf(own) : bytesOf(archived.body_hash),
    erasures: new Map(erased),
    history: history.map(toCheckpoint),
    newest: newest[0] === undefined ? null : toCheckpoint(newest[0]),
  }
}

/** Events of these sequences as they are now; null where home has none of them any more. */
export async function readEvents(
  tx: Transaction,
  workspaceId: string,
  sequences: readonly number[],
): Promise<ColumnArrays | null> {
  const [row] = await tx.query<ColumnArrays & { count: number }>(
    `select count(*)::integer as count, ${columnArrays}
     from (select ${columnList} from event where workspace_id = $1 and sequence = any ($2::bigint[]) order by sequence) e`,
    [workspaceId, bigintArray(sequences)],
    'replication_events',
  )
  return row!.count === 0 ? null : row!
}

/** All that erasures of a chain took away. */
export async function readTombstones(
  tx: Transaction,
  workspaceId: string,
  erasures: readonly number[],
): Promise<StoredTombstone[]> {
  const rows = await tx.query<{ sequence: string; digest: Buffer; erasure_sequence: string }>(
    `select sequence, digest, erasure_sequence from tombstone
     where workspace_id = $1 and erasure_sequence = any ($2::bigint[]) limit ${TOMBSTONES_MAX}`,
    [workspaceId, bigintArray(erasures)],
    'replication_tombstones',
  )
  return rows.map((row) => ({
    sequence: Number(row.sequence),
    digest: row.digest,
    erasure: Number(row.erasure_sequence),
  }))
}

/** A subject key as home keeps it. */
export interface HomeKey {
  readonly id: string
  readonly company_id: string
  readonly blob: BlobName
  readonly bucket: number
  readonly generation: number
  readonly wrapped: Buffer
}

export const readKeys = (tx: Transaction, ids: readonly string[]): Promise<HomeKey[]> =>
  tx.query<HomeKey>(
    `select id, company_id, blob, bucket, generation, wrapped from subject_key
     where id = any ($1::uuid[]) and replica_of is null`,
    [uuidArray(ids)],
    'replication_keys',
  )

/** Which of these keys are still there. */
export async function findKeyIds(tx: Transaction, ids: readonly string[]): Promise<Set<string>> {
  const rows = await tx.query<{ id: string }>(
    'select id from subject_key where id = any ($1::uuid[]) and replica_of is null',
    [uuidArray(ids)],
    'replication_key_ids',
  )
  return new Set(rows.map(({ id }) => id))
}

/** Runs of a chain that archives have taken, from the one that reaches `from` on. */
export async function readArchivedRuns(
  tx: Transaction,
  workspaceId: string,
  from: number,
): Promise<{ readonly first: number; readonly last: number }[]> {
  const rows = await tx.query<{ first_sequence: string; last_sequence: string }>(
    `select first_sequence, last_sequence from archive_object
     where workspace_id = $1 and state = 'STORED' and last_sequence >= $2 order by first_sequence limit ${RUNS_MAX}`,
    [workspaceId, from],
    'replication_archived_runs',
  )
  return rows.map((row) => ({ first: Number(row.first_sequence), last: Number(row.last_sequence) }))
}

/** What the rows of a stretch come to at home, and which erasure of the chain was the last: all of one moment. */
export async function homeDigests(
  tx: Transaction,
  workspaceId: string,
  after: number,
  upTo: number,
): Promise<{ readonly digests: ReadonlyMap<number, string>; readonly lastErasure: number }> {
  const [row] = await tx.query<{ sequences: string[] | null; digests: string[] | null; last_erasure: string | null }>(
    `select array_agg(e.sequence::text) as sequences, array_agg(encode(${rowDigest}, 'hex')) as digests,
       (select max(t.erasure_sequence) from tombstone t where t.workspace_id = $1) as last_erasure
     from event e where e.workspace_id = $1 and e.sequence > $2 and e.sequence <= $3`,
    [workspaceId, after, upTo],
    'replication_digests',
  )
  const sequences = row!.sequences ?? []
  return {
    digests: new Map(sequences.map((sequence, index) => [Number(sequence), row!.digests![index]!])),
    lastErasure: Number(row!.last_erasure ?? 0),
  }
}

/** The newest erasure of each of these chains that has had any. */
export async function readLastErasures(
  tx: Transaction,
  workspaceIds: readonly string[],
): Promise<{ readonly workspaceId: string; readonly sequence: number }[]> {
  const rows = await tx.query<{ workspace_id: string; sequence: string }>(
    `select workspace_id, max(erasure_sequence) as sequence from tombstone
     where workspace_id = any ($1::uuid[]) group by workspace_id`,
    [uuidArray(workspaceIds)],
    'replication_last_erasures',
  )
  return rows.map((row) => ({ workspaceId: row.workspace_id, sequence: Number(row.sequence) }))
}
