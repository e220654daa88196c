import type { Transaction } from '../db/database.js'
import {
  bigintArray,
  byteaArray,
  integerArray,
  smallintArray,
  textArray,
  timestampArray,
  uuidArray,
} from './binary-array.js'
import type { SealedDraft } from './event-draft.js'

/** The end of a workspace's chain, as a locked row says. */
export interface ChainHead {
  readonly workspaceId: string
  readonly companyId: string
  readonly term: number
  readonly sequence: number
  /** 32 zero bytes before the first event. */
  readonly hash: Buffer
  /** Roots of the perfect subtrees of [0, sequence), largest first. */
  readonly frontier: Buffer
}

/** A draft with its place in the chain. */
export interface LinkedEvent {
  readonly draft: SealedDraft
  readonly term: number
  readonly sequence: number
  readonly prevHash: Buffer
  readonly hash: Buffer
}

/** An inner node of a workspace's Merkle tree, over a full run of leaves that will never change. */
export interface MerkleNode {
  readonly workspaceId: string
  readonly companyId: string
  readonly level: number
  readonly index: number
  readonly hash: Buffer
}

/** What an idempotency key stood for when it was first used. */
export interface KnownKey {
  readonly workspaceId: string
  readonly keyDigest: Buffer
  readonly fingerprint: Buffer
  readonly eventId: string
  readonly sequence: number
  readonly hash: Buffer
}

/** Everything one transaction adds to a region. */
export interface ChainExtension {
  readonly events: readonly LinkedEvent[]
  readonly nodes: readonly MerkleNode[]
  /** The heads after it, `from` being the sequence they stood at before. */
  readonly heads: readonly (ChainHead & { readonly from: number })[]
}

/** Makes the heads of chains that have none yet. In workspace order, so that two processes never wait in a circle. */
export async function createHeads(
  tx: Transaction,
  heads: readonly { readonly workspaceId: string; readonly companyId: string }[],
): Promise<void> {
  const sorted = [...heads].sort((a, b) => (a.workspaceId < b.workspaceId ? -1 : 1))
  await tx.query(
    `insert into chain_head (workspace_id, company_id)
     select * from unnest($1::uuid[], $2::uuid[]) on conflict do nothing`,
    [uuidArray(sorted.map((head) => head.workspaceId)), uuidArray(sorted.map((head) => head.companyId))],
    'create_heads',
  )
}

interface HeadRow {
  readonly workspace_id: string
  readonly company_id: string
  readonly term: number
  readonly sequence: string
  readonly hash: Buffer
  readonly frontier: Buffer
}

/** Locks the heads in workspace order until the transaction ends; those that don't exist are left out. */
export async function lockHeads(tx: Transaction, workspaceIds: readonly string[]): Promise<ChainHead[]> {
  const rows = await tx.query<HeadRow>(
    `select workspace_id, company_id, term, sequence, hash, frontier from chain_head
     where workspace_id = any ($1::uuid[]) order by workspace_id for update`,
    [uuidArray(workspaceIds)],
    'lock_heads',
  )
  return rows.map((row) => ({
    workspaceId: row.workspace_id,
    companyId: row.company_id,
    term: row.term,
    sequence: Number(row.sequence),
    hash: row.hash,
    frontier: row.frontier,
  }))
}

interface KeyRow {
  readonly workspace_id: string
  readonly key_digest: Buffer
  readonly fingerprint: Buffer
  readonly event_id: string
  readonly sequence: string
  readonly hash: Buffer
}

/**
 * The keys that have been used already. Only under the lock on the heads is the answer final: in READ COMMITTED a
 * statement sees what was committed before it began, and whoever extends a chain holds its head.
 */
export async function findIdempotencyKeys(tx: Transaction, drafts: readonly SealedDraft[]): Promise<KnownKey[]> {
  const marked = drafts.flatMap(({ workspaceId, idempotency }) =>
    idempotency === null ? [] : [{ workspaceId, keyDigest: idempotency.keyDigest }],
  )
  const rows = await tx.query<KeyRow>(
    `select k.workspace_id, k.key_digest, k.fingerprint, e.id as event_id, e.sequence, e.hash
     from unnest($1::uuid[], $2::bytea[]) as wanted (workspace_id, key_digest)
     join idempotency_key k on k.workspace_id = wanted.workspace_id and k.key_digest = wanted.key_digest
     join stored_event e on e.workspace_id = k.workspace_id and e.sequence = k.sequence`,
    [uuidArray(marked.map((mark) => mark.workspaceId)), byteaArray(marked.map((mark) => mark.keyDigest))],
    'find_idempotency_keys',
  )
  return rows.map((row) => ({
    workspaceId: row.workspace_id,
    keyDigest: row.key_digest,
    fingerprint: row.fingerprint,
    eventId: row.event_id,
    sequence: Number(row.sequence),
    hash: row.hash,
  }))
}

/** True where the event is stored, archived or not, or its id stands for one that is. */
export async function hasEvent(tx: Transaction, eventId: string): Promise<boolean> {
  const rows = await tx.query(
    'select from stored_event where id = $1 union all select from event_alias where id = $1',
    [eventId],
    'has_event',
  )
  return rows.length > 0
}

/** An event that is stored, by an id that was answered for it. */
export interface StoredId {
  readonly id: string
  readonly eventId: string
  readonly sequence: number
  readonly hash: Buffer
}

/** Those of these ids that are stored. Final only under the lock on the heads. */
export async function findStoredIds(tx: Transaction, ids: readonly string[]): Promise<StoredId[]> {
  const rows = await tx.query<{ id: string; event_id: string; sequence: string; hash: Buffer }>(
    `select e.id, e.id as event_id, e.sequence, e.hash from event e where e.id = any ($1::uuid[])
     union all
     select a.id, e.id, e.sequence, e.hash from event_alias a join event e on e.id = a.event_id where a.id = any ($1::uuid[])`,
    [uuidArray(ids)],
    'stored_ids',
  )
  return rows.map((row) => ({ id: row.id, eventId: row.event_id, sequence: Number(row.sequence), hash: row.hash }))
}

/** Lets ids stand for events that were recorded before under another. */
export async function insertAliases(
  tx: Transaction,
  aliases: readonly { readonly draft: SealedDraft; readonly eventId: string }[],
): Promise<void> {
  if (aliases.length === 0) return
  await tx.query(
    `insert into event_alias (id, company_id, workspace_id, event_id)
     select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[])`,
    [
      uuidArray(aliases.map(({ draft }) => draft.id)),
      uuidArray(aliases.map(({ draft }) => draft.companyId)),
      uuidArray(aliases.map(({ draft }) => draft.workspaceId)),
      uuidArray(aliases.map(({ eventId }) => eventId)),
    ],
    'insert_aliases',
  )
}

// The last line: a head that didn't move from where we saw it would fork its chain, so the statement must fail, and a
// division by zero is the plainest way to fail in SQL.
const extendSql = `
with moved as (
  update chain_head as h set sequence = n.sequence, hash = n.hash, frontier = n.frontier, updated_at = now()
  from unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bigint[])
    as n (workspace_id, sequence, hash, frontier, from_sequence)
  where h.workspace_id = n.workspace_id and h.sequence = n.from_sequence
  returning 1
), stretch as (
  insert into index_outbox (workspace_id, company_id, first_sequence, last_sequence)
  select workspace_id, company_id, from_sequence + 1, sequence
  from unnest($1::uuid[], $6::uuid[], $5::bigint[], $2::bigint[]) as n (workspace_id, company_id, from_sequence, sequence)
), node as (
  insert into merkle_node (workspace_id, company_id, level, index, hash)
  select * from unnest($7::uuid[], $8::uuid[], $9::smallint[], $10::bigint[], $11::bytea[])
), idempotent as (
  insert into idempotency_key (workspace_id, company_id, key_digest, fingerprint, sequence, created_at)
  select * from unnest($12::uuid[], $13::uuid[], $14::bytea[], $15::bytea[], $16::bigint[], $17::timestamptz[])
), recorded as (
  insert into event (
    workspace_id, company_id, sequence, id, project_id, term, body, prev_hash, hash, occurred_at, received_at, action,
    category, target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag, identity_blob, content_blob
  )
  select * from unnest(
    $18::uuid[], $19::uuid[], $20::bigint[], $21::uuid[], $22::uuid[], $23::integer[], $24::bytea[], $25::bytea[],
    $26::bytea[], $27::timestamptz[], $28::timestamptz[], $29::text[], $30::text[], $31::text[], $32::bytea[],
    $33::bytea[], $34::bytea[], $35::bytea[], $36::bytea[], $37::bytea[]
  )
)
select 1 / (case when (select count(*) from moved) = cardinality($1::uuid[]) then 1 else 0 end)`

const eventColumns = (events: readonly LinkedEvent[]): Buffer[] => {
  const drafts = events.map((event) => event.draft)
  return [
    uuidArray(drafts.map((draft) => draft.workspaceId)),
    uuidArray(drafts.map((draft) => draft.companyId)),
    bigintArray(events.map((event) => event.sequence)),
    uuidArray(drafts.map((draft) => draft.id)),
    uuidArray(drafts.map((draft) => draft.projectId)),
    integerArray(events.map((event) => event.term)),
    byteaArray(drafts.map((draft) => draft.body)),
    byteaArray(events.map((event) => event.prevHash)),
    byteaArray(events.map((event) => event.hash)),
    timestampArray(drafts.map((draft) => draft.occurredAt)),
    timestampArray(drafts.map((draft) => draft.receivedAt)),
    textArray(drafts.map((draft) => draft.action)),
    textArray(drafts.map((draft) => draft.category)),
    textArray(drafts.map((draft) => draft.targetType)),
    byteaArray(drafts.map((draft) => draft.tags.actorId)),
    byteaArray(drafts.map((draft) => draft.tags.actorEmail)),
    byteaArray(drafts.map((draft) => draft.tags.targetId)),
    byteaArray(drafts.map((draft) => draft.tags.traceId)),
    byteaArray(drafts.map((draft) => draft.identityBlob)),
    byteaArray(drafts.map((draft) => draft.contentBlob)),
  ]
}

/**
 * Writes an extension in one statement: events, tree nodes, idempotency keys, the stretches the global index has to
 * learn of, and the heads. The caller holds the heads; a head that is not where the extension begins fails it. The
 * statement is sent before this returns, so that a COMMIT sent next travels behind it.
 */
export function writeExtension(tx: Transaction, { events, nodes, heads }: ChainExtension): Promise<unknown> {
  const marked = events.flatMap((event) =>
    event.draft.idempotency === null ? [] : [{ event, mark: event.draft.idempotency }],
  )
  const values = [
    uuidArray(heads.map((head) => head.workspaceId)),
    bigintArray(heads.map((head) => head.sequence)),
    byteaArray(heads.map((head) => head.hash)),
    byteaArray(heads.map((head) => head.frontier)),
    bigintArray(heads.map((head) => head.from)),
    uuidArray(heads.map((head) => head.companyId)),
    uuidArray(nodes.map((node) => node.workspaceId)),
    uuidArray(nodes.map((node) => node.companyId)),
    smallintArray(nodes.map((node) => node.level)),
    bigintArray(nodes.map((node) => node.index)),
    byteaArray(nodes.map((node) => node.hash)),
    uuidArray(marked.map(({ event }) => event.draft.workspaceId)),
    uuidArray(marked.map(({ event }) => event.draft.companyId)),
    byteaArray(marked.map(({ mark }) => mark.keyDigest)),
    byteaArray(marked.map(({ mark }) => mark.fingerprint)),
    bigintArray(marked.map(({ event }) => event.sequence)),
    timestampArray(marked.map(({ event }) => event.draft.receivedAt)),
    ...eventColumns(events),
  ]
  return tx.query(extendSql, values, 'extend_chains')
}
