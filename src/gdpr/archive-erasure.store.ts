import type { Database, Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { deleteIdempotencyKeys, type ErasedRow } from './erasure.store.js'
import type { SubjectTags } from './subject.js'

const TIMEOUT_MS = 30_000

/** The archive objects that a request has been carried out in, by their UUIDs. */
export async function readErasedObjects(control: Database, requestId: string): Promise<ReadonlySet<string>> {
  const rows = await control.query<{ object_id: string }>(
    'select object_id from gdpr_archive where request_id = $1 and done_at is not null',
    [requestId],
    { timeoutMs: TIMEOUT_MS },
  )
  return new Set(rows.map((row) => row.object_id))
}

/** Notes that a request was carried out in an object, or (`doneAt` null) waits for its restore. */
export async function noteObject(
  control: Database,
  requestId: string,
  object: { readonly id: string; readonly region: Region; readonly doneAt: Date | null },
): Promise<void> {
  await control.query(
    `insert into gdpr_archive (request_id, object_id, region, done_at) values ($1, $2, $3, $4)
     on conflict (request_id, object_id) do update set done_at = excluded.done_at`,
    [requestId, object.id, object.region, object.doneAt],
    { timeoutMs: TIMEOUT_MS },
  )
}

/** What the database knows of an archived event that an erasure goes by. */
export interface ArchivedPlace {
  readonly sequence: number
  readonly id: string
  readonly isOwn: boolean
  /** By its target, as far as tags tell. */
  readonly isTarget: boolean
  /** Its keys may be gone: whatever of its digests is not disclosed any more is erased. */
  readonly isDeferred: boolean
}

interface PlaceRow {
  readonly sequence: string
  readonly id: string
  readonly is_own: boolean
  readonly is_target: boolean
  readonly is_deferred: boolean
}

/** The places of an object's events, in order. */
export async function readPlaces(
  tx: Transaction,
  objectId: string,
  requestId: string,
  { actorIds, actorEmails, targetIds }: SubjectTags,
): Promise<ArchivedPlace[]> {
  const rows = await tx.query<PlaceRow>(
    `select e.sequence, e.id,
       coalesce(e.actor_id_tag = any ($3::bytea[]), false) or coalesce(e.actor_email_tag = any ($4::bytea[]), false)
         or coalesce(d.is_own, false) as is_own,
       coalesce(e.target_id_tag = any ($5::bytea[]), false) as is_target, coalesce(d.is_own, false) as is_deferred
     from archived_event e
     join archive_object o on o.id = $1 and e.workspace_id = o.workspace_id
       and e.sequence between o.first_sequence and o.last_sequence
     left join deferred_erasure d on d.workspace_id = e.workspace_id and d.sequence = e.sequence and d.request_id = $2
     order by e.sequence`,
    [objectId, requestId, actorIds, actorEmails, targetIds],
    'gdpr_archived_places',
  )
  return rows.map((row) => ({
    sequence: Number(row.sequence),
    id: row.id,
    isOwn: row.is_own,
    isTarget: row.is_target,
    isDeferred: row.is_deferred,
  }))
}

/** Digests of a run's events that were erased before, lower-case hex, by sequence. */
export async function readErasedDigests(
  tx: Transaction,
  workspaceId: string,
  firstSequence: number,
  lastSequence: number,
): Promise<ReadonlyMap<number, ReadonlySet<string>>> {
  const rows = await tx.query<{ sequence: string; digest: Buffer }>(
    'select sequence, digest from tombstone where workspace_id = $1 and sequence between $2 and $3',
    [workspaceId, firstSequence, lastSequence],
    'gdpr_erased_digests',
  )
  const bySequence = Map.groupBy(rows, ({ sequence }) => Number(sequence))
  return new Map(
    Array.from(bySequence, ([sequence, own]) => [
      sequence,
      new Set(own.map(({ digest }) => digest.toString('base64'))),
    ]),
  )
}

/** An object as it is from now on, where it was rewritten. */
export interface FreshObject {
  readonly key: string
  readonly sizeBytes: number
  readonly sha256: Buffer
}

/** An event of an object as an erasure leaves it. */
export type ArchivedRow = ErasedRow & { readonly isOwn: boolean }

/**
 * Takes from the places of an object's events what an erasure takes, stores tombstones, and has the object be its
 * rewritten self; in the transaction that appended the erasure event. Idempotency keys of these events go too. With no rows it only ends what was deferred.
 * Throws DatabaseError `serialization` or `unique_violation` where another erasure was faster.
 */
export async function eraseArchived(
  tx: Transaction,
  object: { readonly id: string; readonly workspaceId: string; readonly sha256: Buffer },
  erasure: {
    readonly sequence: number | null
    readonly requestId: string
    readonly at: Date
    readonly pseudonym: Buffer | null
  },
  rows: readonly ArchivedRow[],
  fresh: FreshObject | null,
): Promise<void> {
  const tombstones = rows.flatMap((row) => row.digests.map((digest) => ({ sequence: row.sequence, digest })))
  await tx.query(
    `select erase_archived($1::uuid, $2::bytea, $3::bigint, $4::uuid, $5::timestamptz, $6::bytea, $7::bigint[],
       $8::boolean[], $9::boolean[], $10::boolean[], $11::boolean[], $12::bigint[], $13::bytea[], $14::text, $15::bigint,
       $16::bytea)`,
    [
      object.id,
      object.sha256,
      erasure.sequence,
      erasure.requestId,
      erasure.at,
      erasure.pseudonym,
      rows.map((row) => row.sequence),
      rows.map((row) => row.actor),
      rows.map((row) => row.target),
      rows.map((row) => row.trace),
      rows.map((row) => row.isOwn),
      tombstones.map((one) => one.sequence),
      tombstones.map((one) => one.digest),
      fresh?.key ?? null,
      fresh?.sizeBytes ?? null,
      fresh?.sha256 ?? null,
    ],
    'gdpr_erase_archived',
  )
  await deleteIdempotencyKeys(
    tx,
    object.workspaceId,
    rows.map((row) => row.sequence),
  )
}

/** Clears the subject's tags from an object that can't be read now, and notes what is still to come. */
export async function deferErasure(
  tx: Transaction,
  objectId: string,
  erasure: { readonly requestId: string; readonly at: Date; readonly pseudonym: Buffer | null },
  rows: readonly {
    readonly sequence: number
    readonly actor: boolean
    readonly target: boolean
    readonly trace: boolean
  }[],
): Promise<void> {
  await tx.query(
    `select defer_erasure($1::uuid, $2::uuid, $3::timestamptz, $4::bytea, $5::bigint[], $6::boolean[], $7::boolean[],
       $8::boolean[])`,
    [
      objectId,
      erasure.requestId,
      erasure.at,
      erasure.pseudonym,
      rows.map((row) => row.sequence),
      rows.map((row) => row.actor),
      rows.map((row) => row.target),
      rows.map((row) => row.trace),
    ],
    'gdpr_defer_erasure',
  )
}
