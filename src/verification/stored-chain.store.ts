import { checkpointColumns, toCheckpoint } from '../checkpoints/checkpoint.store.js'
import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import type { Transaction } from '../db/database.js'
import {
  type ClaimedTombstone,
  type ErasedDigest,
  fromBytes,
  type Latin1,
  TILE_HEIGHT,
  TILE_WIDTH,
} from '../ledger/index.js'

/** Rows of one chunk. */
const CHUNK_EVENTS_MAX = 500
/** Bodies and blobs of one chunk; a single event may be larger. */
const CHUNK_BYTES_MAX = 8_388_608
const LEVEL_MAX = 48

/** A row of the table of events, as it is stored. What is out of shape here was put there by somebody else. */
export interface StoredEvent {
  readonly sequence: string
  readonly id: string
  readonly workspace_id: string
  readonly company_id: string
  readonly project_id: string | null
  readonly term: number
  /** Null where it is in an archive object that can't be read now; `body_hash` is what is known of it then. */
  readonly body: Buffer | null
  readonly body_hash: Buffer | null
  /** The archive object that has body and blobs; null while the database has them. */
  readonly object_id: string | null
  readonly prev_hash: Buffer
  readonly hash: Buffer
  readonly occurred_at: unknown
  readonly received_at: unknown
  readonly action: string
  readonly category: string
  readonly target_type: string | null
  readonly actor_id_tag: Buffer | null
  readonly actor_email_tag: Buffer | null
  readonly target_id_tag: Buffer | null
  readonly trace_id_tag: Buffer | null
  readonly identity_blob: Buffer | null
  readonly content_blob: Buffer | null
  readonly erased_at: unknown
  readonly actor_pseudonym: Buffer | null
}

/** The end of a chain as it is stored, all of it read at one moment. */
export interface ChainEnd {
  /** Null where there is no head. */
  readonly head: {
    readonly sequence: number
    readonly hash: Buffer
    readonly frontier: Buffer
    readonly term: number
  } | null
  /** 0 where there are no events. */
  readonly lastSequence: number
  /** The first event beyond the head, where there is one. */
  readonly firstBeyondHead: { readonly sequence: number; readonly id: string } | null
  /** How many inner nodes of the tree are stored. */
  readonly nodes: number
  readonly checkpoint: SignedCheckpoint | null
  /** The largest of the history. */
  readonly newestOfHistory: SignedCheckpoint | null
  /** Bodies of the events by which the home region or a signing key changed, in order. */
  readonly changes: readonly { readonly sequence: number; readonly body: Buffer }[]
  /** The body of the first event. */
  readonly firstBody: Buffer | null
}

interface EndRow {
  readonly sequence: string | null
  readonly hash: Buffer
  readonly frontier: Buffer
  readonly term: number
  readonly last_sequence: string | null
  readonly beyond_sequence: string | null
  readonly beyond_id: string
  readonly nodes: string
  readonly first_body: Buffer | null
}

const endSql = `
select h.sequence, h.hash, h.frontier, h.term, l.sequence as last_sequence, b.sequence as beyond_sequence,
  b.id as beyond_id, f.body as first_body,
  (select count(*) from merkle_node n where n.workspace_id = w.id) as nodes
from (select $1::uuid as id) w
left join chain_head h on h.workspace_id = w.id
left join lateral (select e.sequence from stored_event e where e.workspace_id = w.id order by e.sequence desc limit 1) l on true
left join lateral (
  select e.sequence, e.id from event e where e.workspace_id = w.id and e.sequence > coalesce(h.sequence, 0)
  order by e.sequence limit 1) b on true
left join stored_event f on f.workspace_id = w.id and f.sequence = 1`

/** Reads the end of a chain, as one snapshot but for checkpoints, which are read after it and concern what is in it. */
export async function readChainEnd(tx: Transaction, workspaceId: string): Promise<ChainEnd> {
  // Checkpoints first: each was signed of events that are stored by then, so none can seem to be ahead of them.
  const [checkpoint, history, changes, ends] = await Promise.all([
    tx.query<CheckpointRow>(
      `select ${checkpointColumns} from checkpoint where workspace_id = $1`,
      [workspaceId],
      'verify_checkpoint',
    ),
    tx.query<CheckpointRow>(
      `select ${checkpointColumns} from checkpoint_history where workspace_id = $1 order by tree_size desc limit 1`,
      [workspaceId],
      'verify_newest_history',
    ),
    tx.query<{ sequence: string; body: Buffer }>(
      `select sequence, body from stored_event
       where workspace_id = $1 and action in ('ledger.key', 'ledger.term') and category = 'system' order by sequence`,
      [workspaceId],
      'verify_changes',
    ),
    tx.query<EndRow>(endSql, [workspaceId], 'verify_chain_end'),
  ])
  const end = ends[0]!
  return {
    head:
      end.sequence === null
        ? null
        : { sequence: Number(end.sequence), hash: end.hash, frontier: end.frontier, term: end.term },
    lastSequence: Number(end.last_sequence ?? 0),
    firstBeyondHead: end.beyond_sequence === null ? null : { sequence: Number(end.beyond_sequence), id: end.beyond_id },
    nodes: Number(end.nodes),
    checkpoint: checkpoint[0] === undefined ? null : toCheckpoint(checkpoint[0]),
    newestOfHistory: history[0] === undefined ? null : toCheckpoint(history[0]),
    changes: changes.map(({ sequence, body }) => ({ sequence: Number(sequence), body })),
    firstBody: end.first_body,
  }
}

type CheckpointRow = Parameters<typeof toCheckpoint>[0]

/** Some events of a chain, and what else is stored about the tree up to there. */
export interface StoredChunk {
  readonly events: readonly StoredEvent[]
  /** Inner nodes that these events complete, by {@link nodeName}. */
  readonly nodes: ReadonlyMap<string, Latin1>
  /** What is left of erased disclosures of these events, by sequence. */
  readonly tombstones: ReadonlyMap<number, readonly ClaimedTombstone[]>
  /** Of the erasures among these events, by sequence, all that they erased, in the order of sequences. */
  readonly erased: ReadonlyMap<number, readonly ErasedDigest[]>
  /** Checkpoints of the history of sizes that these events reach. */
  readonly history: readonly SignedCheckpoint[]
}

export const nodeName = (level: number, index: number): string => `${level}/${index}`

const eventColumns = `sequence, id, workspace_id, company_id, project_id, term, body, body_hash, object_id, prev_hash, hash, occurred_at,
  received_at, action, category, target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag,
  identity_blob, content_blob, erased_at, actor_pseudonym`

const bytesOfRow = 'coalesce(length(body), 0) + coalesce(length(identity_blob), 0) + coalesce(length(content_blob), 0)'

const chunkSql = `
select ${eventColumns} from (
  select *, sum(bytes) over (order by sequence) - bytes as bytes_before from (
    select ${eventColumns}, ${bytesOfRow} as bytes from stored_event
    where workspace_id = $1 and sequence > $2 and sequence <= $3 order by sequence limit ${CHUNK_EVENTS_MAX}
  ) e
) e where bytes_before < ${CHUNK_BYTES_MAX} order by sequence`

/** The next events after `after`, at most to `upTo`, and all that is read with them, as one snapshot. */
export async function readChunk(
  tx: Transaction,
  workspaceId: string,
  after: number,
  upTo: number,
): Promise<StoredChunk> {
  // An erasure takes values away and leaves tombstones: seen half, it would look like tampering.
  const isolated = tx.query('set transaction isolation level repeatable read')
  const events = await tx.query<StoredEvent>(chunkSql, [workspaceId, after, upTo], 'verify_events')
  await isolated
  const last = Number(events.at(-1)?.sequence ?? after)
  const erasures = events.filter(({ action }) => action === 'gdpr.erasure').map(({ sequence }) => Number(sequence))
  const [nodes, tombstones, erased, history] = await Promise.all([
    readNodes(tx, workspaceId, after, last),
    tx.query<TombstoneRow>(
      `select sequence, digest, erasure_sequence from tombstone
       where workspace_id = $1 and sequence > $2 and sequence <= $3`,
      [workspaceId, after, last],
      'verify_tombstones',
    ),
    erasures.length === 0 ? [] : readErased(tx, workspaceId, erasures),
    tx.query<CheckpointRow>(
      `select ${checkpointColumns} from checkpoint_history
       where workspace_id = $1 and tree_size > $2 and tree_size <= $3 order by tree_size`,
      [workspaceId, after, last],
      'verify_history',
    ),
  ])
  const claims = tombstones.map((row) => ({
    sequence: Number(row.sequence),
    claim: { digest: fromBytes(row.digest), erasure: Number(row.erasure_sequence) },
  }))
  const erasedOf = Map.groupBy(erased, (row) => Number(row.erasure_sequence))
  return {
    events,
    nodes,
    tombstones: mapValues(
      Map.groupBy(claims, ({ sequence }) => sequence),
      ({ claim }) => claim,
    ),
    erased: mapValues(erasedOf, toErased),
    history: history.map(toCheckpoint),
  }
}

interface TombstoneRow {
  readonly sequence: string
  readonly digest: Buffer
  readonly erasure_sequence: string
}

const toErased = (row: TombstoneRow): ErasedDigest => ({
  sequence: Number(row.sequence),
  digest: fromBytes(row.digest),
})

const mapValues = <K, A, B>(map: ReadonlyMap<K, readonly A[]>, change: (value: A) => B): Map<K, B[]> =>
  new Map(Array.from(map, ([key, values]) => [key, values.map(change)]))

const readErased = (tx: Transaction, workspaceId: string, erasures: readonly number[]): Promise<TombstoneRow[]> =>
  tx.query<TombstoneRow>(
    `select sequence, digest, erasure_sequence from tombstone
     where workspace_id = $1 and erasure_sequence = any ($2::bigint[]) order by erasure_sequence, sequence`,
    [workspaceId, erasures],
    'verify_erased',
  )

/** All that one erasure erased, in the order of sequences. */
export async function findErased(tx: Transaction, workspaceId: string, erasure: number): Promise<ErasedDigest[]> {
  return (await readErased(tx, workspaceId, [erasure])).map(toErased)
}

/** The nodes that leaves after `after` up to `last` complete. */
async function readNodes(
  tx: Transaction,
  workspaceId: string,
  after: number,
  last: number,
): Promise<Map<string, Latin1>> {
  const levels: number[] = []
  const firsts: number[] = []
  const ends: number[] = []
  for (let level = TILE_HEIGHT, width = TILE_WIDTH; level <= LEVEL_MAX; level += TILE_HEIGHT, width *= TILE_WIDTH) {
    const first = Math.floor(after / width)
    const end = Math.floor(last / width)
    if (end === first) break
    levels.push(level)
    firsts.push(first)
    ends.push(end)
  }
  if (levels.length === 0) return new Map()
  const rows = await tx.query<{ level: number; index: string; hash: Buffer }>(
    `select n.level, n.index, n.hash from unnest($2::smallint[], $3::bigint[], $4::bigint[]) as r (level, first, last)
     join merkle_node n on n.workspace_id = $1 and n.level = r.level and n.index >= r.first and n.index < r.last`,
    [workspaceId, levels, firsts, ends],
    'verify_nodes',
  )
  return new Map(rows.map(({ level, index, hash }) => [nodeName(level, Number(index)), fromBytes(hash)]))
}

/** One event, or null. */
export async function findStoredEvent(
  tx: Transaction,
  workspaceId: string,
  sequence: number,
): Promise<StoredEvent | null> {
  const rows = await tx.query<StoredEvent>(
    `select ${eventColumns} from stored_event where workspace_id = $1 and sequence = $2`,
    [workspaceId, sequence],
    'verify_one_event',
  )
  return rows[0] ?? null
}

/** How far a database has got with a chain: 0 where it has none of it. */
export async function findLastSequence(tx: Transaction, workspaceId: string): Promise<number> {
  const rows = await tx.query<{ sequence: string }>(
    'select sequence from stored_event where workspace_id = $1 order by sequence desc limit 1',
    [workspaceId],
    'verify_last_sequence',
  )
  return Number(rows[0]?.sequence ?? 0)
}
