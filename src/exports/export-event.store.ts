import type { Transaction } from '../db/database.js'
import type { ExportScope } from './export-job.js'

/** An event as it is stored, with what an export writes of it. */
export interface StoredEvent {
  readonly id: string
  readonly sequence: number
  readonly term: number
  readonly projectId: string | null
  readonly body: Buffer
  readonly prevHash: Buffer
  readonly hash: Buffer
  readonly occurredAt: Date
  readonly receivedAt: Date
  readonly action: string
  readonly category: string
  readonly targetType: string | null
  readonly erasedAt: Date | null
  /** What an anonymised actor is shown as. */
  readonly actorPseudonym: Buffer | null
  readonly identityBlob: Buffer | null
  readonly contentBlob: Buffer | null
  /** The archive object that has body and blobs; null where they are here. */
  readonly objectId: string | null
}

interface EventRow {
  readonly id: string
  readonly sequence: string
  readonly term: number
  readonly project_id: string | null
  readonly body: Buffer | null
  readonly prev_hash: Buffer
  readonly hash: Buffer
  readonly occurred_at: Date
  readonly received_at: Date
  readonly action: string
  readonly category: string
  readonly target_type: string | null
  readonly erased_at: Date | null
  readonly actor_pseudonym: Buffer | null
  readonly identity_blob: Buffer | null
  readonly content_blob: Buffer | null
  readonly object_id: string | null
}

const nothing = Buffer.alloc(0)

/** Events of a chain from one sequence to another, both included. The bodies of archived ones are empty. */
export async function readEvents(
  tx: Transaction,
  workspaceId: string,
  from: number,
  to: number,
): Promise<StoredEvent[]> {
  const rows = await tx.query<EventRow>(
    `select id, sequence, term, project_id, body, prev_hash, hash, occurred_at, received_at, action, category,
       target_type, erased_at, actor_pseudonym, identity_blob, content_blob, object_id
     from stored_event where workspace_id = $1 and sequence between $2 and $3 order by sequence`,
    [workspaceId, from, to],
    'export_events',
  )
  return rows.map((row) => ({
    id: row.id,
    sequence: Number(row.sequence),
    term: row.term,
    projectId: row.project_id,
    body: row.body ?? nothing,
    prevHash: row.prev_hash,
    hash: row.hash,
    occurredAt: row.occurred_at,
    receivedAt: row.received_at,
    action: row.action,
    category: row.category,
    targetType: row.target_type,
    erasedAt: row.erased_at,
    actorPseudonym: row.actor_pseudonym,
    identityBlob: row.identity_blob,
    contentBlob: row.content_blob,
    objectId: row.object_id,
  }))
}

const tables = { HOT: 'event', ARCHIVED: 'archived_event', ALL: 'stored_event' } as const satisfies Record<
  ExportScope,
  string
>

/** The events of one look at a chain for a time: there is no index by it, and a transaction must stay short. */
const WINDOW_EVENTS = 50_000

/**
 * The first (or last) sequence up to `size` whose event was received in [from, to); null where none was. Looks at a
 * window of the chain at a time, each in a transaction of its own, which `within` makes.
 */
export async function findReceived(
  within: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>,
  workspaceId: string,
  range: {
    readonly from: Date | null
    readonly to: Date | null
    readonly size: number
    readonly which: 'first' | 'last'
    readonly scope: ExportScope
  },
): Promise<number | null> {
  const { from, to, size, which, scope } = range
  const aggregate = which === 'first' ? 'min' : 'max'
  for (let done = 0; done < size; done += WINDOW_EVENTS) {
    const [low, high] =
      which === 'first'
        ? [done + 1, Math.min(done + WINDOW_EVENTS, size)]
        : [Math.max(1, size - done - WINDOW_EVENTS + 1), size - done]
    const [row] = await within((tx) =>
      tx.query<{ found: string | null }>(
        `select ${aggregate}(sequence) as found from ${tables[scope]}
         where workspace_id = $1 and sequence between $2 and $3
           and ($4::timestamptz is null or received_at >= $4) and ($5::timestamptz is null or received_at < $5)`,
        [workspaceId, low, high, from, to],
        `export_${which}_received_${scope}`,
      ),
    )
    if (row?.found != null) return Number(row.found)
  }
  return null
}

/** What is left of an erased disclosure. */
export interface StoredTombstone {
  /** Of the event it belonged to. */
  readonly sequence: number
  readonly digest: Buffer
  /** The sequence of the erasure event. */
  readonly erasure: number
}

interface TombstoneRow {
  readonly sequence: string
  readonly digest: Buffer
  readonly erasure_sequence: string
}

const toTombstone = (row: TombstoneRow): StoredTombstone => ({
  sequence: Number(row.sequence),
  digest: row.digest,
  erasure: Number(row.erasure_sequence),
})

/** The tombstones of events from one sequence to another, both included. */
export async function readTombstones(
  tx: Transaction,
  workspaceId: string,
  from: number,
  to: number,
): Promise<StoredTombstone[]> {
  const rows = await tx.query<TombstoneRow>(
    `select sequence, digest, erasure_sequence from tombstone
     where workspace_id = $1 and sequence between $2 and $3 order by sequence, digest`,
    [workspaceId, from, to],
    'export_tombstones',
  )
  return rows.map(toTombstone)
}

/** All tombstones of one erasure. */
export async function readErasure(tx: Transaction, workspaceId: string, erasure: number): Promise<StoredTombstone[]> {
  const rows = await tx.query<TombstoneRow>(
    'select sequence, digest, erasure_sequence from tombstone where workspace_id = $1 and erasure_sequence = $2',
    [workspaceId, erasure],
    'export_erasure',
  )
  return rows.map(toTombstone)
}

/** The erasures after a run of events that erased something in it, in the order of the chain. */
export async function readErasuresOf(
  tx: Transaction,
  workspaceId: string,
  from: number,
  to: number,
): Promise<number[]> {
  const rows = await tx.query<{ erasure_sequence: string }>(
    `select distinct erasure_sequence from tombstone
     where workspace_id = $1 and sequence between $2 and $3 and erasure_sequence > $3 order by erasure_sequence`,
    [workspaceId, from, to],
    'export_erasures_of',
  )
  return rows.map((row) => Number(row.erasure_sequence))
}
