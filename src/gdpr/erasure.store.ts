import type { Database, Transaction } from '../db/database.js'
import type { SubjectTags } from './subject.js'

const TIMEOUT_MS = 30_000

/** An event that still discloses something. */
export interface SealedEventRow {
  readonly sequence: string
  readonly id: string
  readonly actor_id_tag: Buffer | null
  readonly actor_email_tag: Buffer | null
  readonly identity_blob: Buffer | null
  readonly content_blob: Buffer | null
}

/** The next events of a chain that disclose anything, in order. */
export const readSealedEvents = (
  tx: Transaction,
  workspaceId: string,
  after: number,
  limit: number,
): Promise<SealedEventRow[]> =>
  tx.query<SealedEventRow>(
    `select sequence, id, actor_id_tag, actor_email_tag, identity_blob, content_blob from event
     where workspace_id = $1 and sequence > $2 and (identity_blob is not null or content_blob is not null)
     order by sequence limit $3`,
    [workspaceId, after, limit],
    'gdpr_sealed_events',
  )

/** One event as an erasure leaves it. */
export interface ErasedRow {
  readonly sequence: number
  /** The first 29 bytes of the blobs it was read with. */
  readonly identitySeen: Buffer | null
  readonly contentSeen: Buffer | null
  readonly identity: Buffer | null
  readonly content: Buffer | null
  readonly actor: boolean
  readonly target: boolean
  readonly trace: boolean
  readonly digests: readonly Buffer[]
}

/**
 * Takes values away and stores their tombstones, in the transaction that has just appended the erasure event at
 * `erasure`. Idempotency keys of these events go too. Throws DatabaseError: `serialization` or `unique_violation` where
 * another erasure was faster.
 */
export async function eraseDisclosures(
  tx: Transaction,
  workspaceId: string,
  erasure: { readonly sequence: number; readonly at: Date; readonly pseudonym: Buffer | null },
  rows: readonly ErasedRow[],
): Promise<void> {
  const sequences = rows.map((row) => row.sequence)
  const tombstones = rows.flatMap((row) => row.digests.map((digest) => ({ sequence: row.sequence, digest })))
  await tx.query(
    `select erase_disclosures($1::uuid, $2::bigint, $3::timestamptz, $4::bytea, $5::bigint[], $6::bytea[], $7::bytea[],
       $8::bytea[], $9::bytea[], $10::boolean[], $11::boolean[], $12::boolean[], $13::bigint[], $14::bytea[])`,
    [
      workspaceId,
      erasure.sequence,
      erasure.at,
      erasure.pseudonym,
      sequences,
      rows.map((row) => row.identitySeen),
      rows.map((row) => row.contentSeen),
      rows.map((row) => row.identity),
      rows.map((row) => row.content),
      rows.map((row) => row.actor),
      rows.map((row) => row.target),
      rows.map((row) => row.trace),
      tombstones.map((one) => one.sequence),
      tombstones.map((one) => one.digest),
    ],
    'gdpr_erase_disclosures',
  )
  await deleteIdempotencyKeys(tx, workspaceId, sequences)
}

/** Forgets by which keys these events were recorded. */
export const deleteIdempotencyKeys = (
  tx: Transaction,
  workspaceId: string,
  sequences: readonly number[],
): Promise<unknown> =>
  tx.query(
    'delete from idempotency_key where workspace_id = $1 and sequence = any ($2::bigint[])',
    [workspaceId, sequences],
    'gdpr_delete_idempotency_keys',
  )

const taggedCondition =
  '(actor_id_tag = any ($2::bytea[]) or actor_email_tag = any ($3::bytea[]) or target_id_tag = any ($4::bytea[]))'

/** How many events the subject did, or was the target of. */
export async function countTaggedEvents(
  database: Database,
  companyId: string,
  workspaceIds: readonly string[],
  { actorIds, actorEmails, targetIds }: SubjectTags,
): Promise<number> {
  const [row] = await database.transaction({ companies: [companyId], readOnly: true, timeoutMs: TIMEOUT_MS }, (tx) =>
    tx.query<{ n: string }>(
      `select count(*) as n from stored_event where workspace_id = any ($1::uuid[]) and ${taggedCondition}`,
      [workspaceIds, actorIds, actorEmails, targetIds],
      'gdpr_count_tagged',
    ),
  )
  return Number(row!.n)
}

/** True where an event of the subject's own is there that has not been erased. */
export async function hasOwnEvents(
  tx: Transaction,
  workspaceIds: readonly string[],
  { actorIds, actorEmails }: SubjectTags,
): Promise<boolean> {
  const rows = await tx.query(
    `select sequence from stored_event where workspace_id = any ($1::uuid[])
       and (actor_id_tag = any ($2::bytea[]) or actor_email_tag = any ($3::bytea[])) limit 1`,
    [workspaceIds, actorIds, actorEmails],
    'gdpr_has_own_events',
  )
  return rows.length > 0
}

/** Keys of the subject that are still there. */
export const findSubjectKeys = (
  tx: Transaction,
  companyId: string,
  { actorIds, actorEmails }: SubjectTags,
): Promise<{ id: string; bucket: number }[]> =>
  tx.query<{ id: string; bucket: number }>(
    `select id, bucket from subject_key where company_id = $1
       and (actor_id_tag = any ($2::bytea[]) or actor_email_tag = any ($3::bytea[]))`,
    [companyId, actorIds, actorEmails],
    'gdpr_find_subject_keys',
  )

/** Keys of these ids that are still there. */
export const findKeys = (tx: Transaction, ids: readonly string[]): Promise<{ id: string; bucket: number }[]> =>
  tx.query<{ id: string; bucket: number }>('select id, bucket from subject_key where id = any ($1::uuid[])', [ids])

/** What the erasures of one request came to in some chains of a region. */
export interface ErasureTotals {
  readonly events: number
  readonly disclosures: number
  /** Events of others that were sealed again without what mentioned the subject. */
  readonly resealed: number
  /** The chains concerned. */
  readonly workspaceIds: readonly string[]
}

const erasuresOf = `select e.workspace_id, e.sequence from stored_event e
  where e.workspace_id = any ($1::uuid[]) and e.action = 'gdpr.erasure' and e.category = 'system'
    and convert_from(e.body, 'UTF8')::jsonb #>> '{system,erasure,request}' = $2`

/** Counts what was erased for a request, from the chains themselves. */
export async function readErasureTotals(
  tx: Transaction,
  workspaceIds: readonly string[],
  requestId: string,
): Promise<ErasureTotals> {
  const [row] = await tx.query<{
    events: string
    disclosures: string
    resealed: string
    workspace_ids: string[] | null
  }>(
    `with erasure as (${erasuresOf}), erased as (
       select t.workspace_id, t.sequence, count(*) as disclosures from tombstone t
       join erasure on erasure.workspace_id = t.workspace_id and erasure.sequence = t.erasure_sequence group by 1, 2
     )
     select count(*) as events, coalesce(sum(erased.disclosures), 0) as disclosures,
       count(*) filter (where e.actor_pseudonym is null and (e.identity_blob is not null or e.content_blob is not null
         -- Of what archives have, only somebody else's event still knows its actor.
         or e.object_id is not null and coalesce(e.actor_id_tag, e.actor_email_tag) is not null)) as resealed,
       array_agg(distinct erased.workspace_id::text) as workspace_ids
     from erased join stored_event e on e.workspace_id = erased.workspace_id and e.sequence = erased.sequence`,
    [workspaceIds, requestId],
    'gdpr_erasure_totals',
  )
  return {
    events: Number(row!.events),
    disclosures: Number(row!.disclosures),
    resealed: Number(row!.resealed),
    workspaceIds: row!.workspace_ids ?? [],
  }
}

/** An erased event, and which of its tags are gone. */
export interface ErasedTags {
  readonly id: string
  readonly actor_id: boolean
  readonly actor_email: boolean
  readonly target_id: boolean
  readonly trace_id: boolean
}

/** The events that a request erased something of, in the order of their ids, after the one given. */
export const readErasedTags = (
  tx: Transaction,
  workspaceIds: readonly string[],
  requestId: string,
  after: string,
  limit: number,
): Promise<ErasedTags[]> =>
  tx.query<ErasedTags>(
    `with erasure as (${erasuresOf})
     select distinct e.id, e.actor_id_tag is null as actor_id, e.actor_email_tag is null as actor_email,
       e.target_id_tag is null as target_id, e.trace_id_tag is null as trace_id
     from (
       select t.workspace_id, t.sequence from tombstone t
       join erasure on erasure.workspace_id = t.workspace_id and erasure.sequence = t.erasure_sequence
       union
       select d.workspace_id, d.sequence from deferred_erasure d
       where d.workspace_id = any ($1::uuid[]) and d.request_id = $2::text::uuid
     ) t
     join stored_event e on e.workspace_id = t.workspace_id and e.sequence = t.sequence
     where e.id > $3 order by e.id limit $4`,
    [workspaceIds, requestId, after, limit],
    'gdpr_erased_tags',
  )
