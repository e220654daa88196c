import type { Database, Transaction } from '../db/database.js'
import { byteaArray, textArray, timestampArray, uuidArray } from '../events/binary-array.js'
import type { KnownKey } from '../events/committer.store.js'
import type { EventDraft } from '../events/event-draft.js'
import { type Region, regions } from '../kernel/region.js'
import type { DeadLetterReason, PendingWrite, PendingWriteRow } from './pending-write.js'

const TIMEOUT_MS = 5_000
const NO_HASH = Buffer.alloc(0)

const columns = [
  'region', 'id', 'company_id', 'workspace_id', 'project_id', 'body', 'occurred_at', 'received_at', 'action', 'category',
  'target_type', 'actor_id_tag', 'actor_email_tag', 'target_id_tag', 'trace_id_tag', 'identity_blob', 'content_blob',
  'pending_key', 'identity_key', 'content_key', 'key_digest', 'fingerprint',
] // oxfmt-ignore
const stored = [...columns, 'position', 'queued_at', 'attempts'].join(', ')

/** The idempotency keys that stand for what is queued already. Their events have no place in a chain yet. */
export async function findQueuedKeys(tx: Transaction, drafts: readonly EventDraft[]): Promise<KnownKey[]> {
  const marked = drafts.flatMap(({ workspaceId, idempotency }) =>
    idempotency === null ? [] : [{ workspaceId, keyDigest: idempotency.keyDigest }],
  )
  if (marked.length === 0) return []
  const rows = await tx.query<{ workspace_id: string; key_digest: Buffer; fingerprint: Buffer; id: string }>(
    `select p.workspace_id, p.key_digest, p.fingerprint, p.id
     from unnest($1::uuid[], $2::bytea[]) as wanted (workspace_id, key_digest)
     join pending_write p on p.workspace_id = wanted.workspace_id and p.key_digest = wanted.key_digest`,
    [uuidArray(marked.map((mark) => mark.workspaceId)), byteaArray(marked.map((mark) => mark.keyDigest))],
    'pending_write_keys',
  )
  return rows.map((row) => ({
    workspaceId: row.workspace_id,
    keyDigest: row.key_digest,
    fingerprint: row.fingerprint,
    eventId: row.id,
    sequence: 0,
    hash: NO_HASH,
  }))
}

/** Queues events in their order; one that is queued already stays as it is. Throws DatabaseError `unique_violation` where another process has just queued one of the same idempotency key. */
export async function insertPending(tx: Transaction, writes: readonly PendingWrite[]): Promise<void> {
  const drafts = writes.map(({ draft }) => draft)
  await tx.query(
    `insert into pending_write (${columns.join(', ')})
     select ${columns.join(', ')} from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bytea[], $7::timestamptz[],
       $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[],
       $16::bytea[], $17::bytea[], $18::uuid[], $19::bytea[], $20::bytea[], $21::bytea[], $22::bytea[])
       with ordinality as u (${columns.join(', ')}, n)
     order by n on conflict (id) do nothing`,
    [
      textArray(drafts.map(({ region }) => region)),
      uuidArray(drafts.map(({ id }) => id)),
      uuidArray(drafts.map(({ companyId }) => companyId)),
      uuidArray(drafts.map(({ workspaceId }) => workspaceId)),
      uuidArray(drafts.map(({ projectId }) => projectId)),
      byteaArray(drafts.map(({ body }) => body)),
      timestampArray(drafts.map(({ occurredAt }) => occurredAt)),
      timestampArray(drafts.map(({ receivedAt }) => receivedAt)),
      textArray(drafts.map(({ action }) => action)),
      textArray(drafts.map(({ category }) => category)),
      textArray(drafts.map(({ targetType }) => targetType)),
      byteaArray(drafts.map(({ tags }) => tags.actorId)),
      byteaArray(drafts.map(({ tags }) => tags.actorEmail)),
      byteaArray(drafts.map(({ tags }) => tags.targetId)),
      byteaArray(drafts.map(({ tags }) => tags.traceId)),
      byteaArray(drafts.map(({ identityBlob }) => identityBlob)),
      byteaArray(drafts.map(({ contentBlob }) => contentBlob)),
      uuidArray(writes.map(({ pendingKey }) => pendingKey)),
      byteaArray(writes.map(({ identityKey }) => identityKey)),
      byteaArray(writes.map(({ contentKey }) => contentKey)),
      byteaArray(drafts.map(({ idempotency }) => idempotency?.keyDigest ?? null)),
      byteaArray(drafts.map(({ idempotency }) => idempotency?.fingerprint ?? null)),
    ],
    'pending_write_insert',
  )
}

/** Makes the caller the only one who drains a region, until its transaction ends. False where somebody else does. */
export async function claimDrain(tx: Transaction, region: Region): Promise<boolean> {
  const [row] = await tx.query<{ claimed: boolean }>(
    'select pg_try_advisory_xact_lock(7265647, $1::integer) as claimed',
    [regions.indexOf(region)],
    'pending_write_claim',
  )
  return row!.claimed
}

/** The first events of a region's queue: at most so many, and so many bytes unless the first alone has more. */
export const readFirst = (
  tx: Transaction,
  region: Region,
  limit: number,
  bytesMax: number,
): Promise<PendingWriteRow[]> =>
  tx.query<PendingWriteRow>(
    `with first as (
       select position, length(body) + coalesce(length(identity_blob), 0) + coalesce(length(content_blob), 0) as bytes
       from pending_write where region = $1 order by position limit $2
     ), summed as (select position, sum(bytes) over (order by position) - bytes as before from first)
     select ${columns.map((name) => `p.${name}`).join(', ')}, p.position
     from summed join pending_write p using (position) where summed.before < $3 order by position`,
    [region, limit, bytesMax],
    'pending_write_first',
  )

/** Forgets what is recorded at home. */
export async function deletePending(tx: Transaction, ids: readonly string[]): Promise<void> {
  await tx.query('delete from pending_write where id = any ($1::uuid[])', [uuidArray(ids)], 'pending_write_delete')
}

/** Sets aside what can't be recorded, so that it is in nobody's way. */
export async function moveToDeadLetters(
  tx: Transaction,
  letters: readonly { readonly id: string; readonly reason: DeadLetterReason }[],
  attempts: number,
  at: Date,
): Promise<void> {
  await tx.query(
    `with gone as (delete from pending_write p using unnest($1::uuid[], $2::text[]) as l (id, reason)
       where p.id = l.id returning p.*, l.reason)
     insert into dead_letter (${stored}, failed_at, reason)
     select ${stored.replace('attempts', '$3::smallint')}, $4, reason from gone
     on conflict (id) do update set failed_at = excluded.failed_at, reason = excluded.reason`,
    [uuidArray(letters.map(({ id }) => id)), textArray(letters.map(({ reason }) => reason)), attempts, at],
    'dead_letter_insert',
  )
}

/** True where more than so many events wait for a region. */
export async function hasMoreThan(tx: Transaction, region: Region, events: number): Promise<boolean> {
  const rows = await tx.query(
    'select position from pending_write where region = $1 order by position offset $2 limit 1',
    [region, events],
    'pending_write_more',
  )
  return rows.length > 0
}

/** How much waits, at most `limit` of a region and of a company. */
export async function countPending(
  control: Database,
  region: Region,
  companyId: string | null,
  limit: number,
): Promise<number> {
  const [row] = await control.query<{ n: string }>(
    `select count(*) as n from (select from pending_write
       where region = $1 and ($2::uuid is null or company_id = $2) limit $3) as waiting`,
    [region, companyId, limit],
    { timeoutMs: TIMEOUT_MS, name: 'pending_write_count' },
  )
  return Number(row!.n)
}

/** What waits for a region, and what was set aside. */
export interface PendingFigures {
  readonly region: Region
  readonly pendingWrites: number
  readonly deadLetters: number
  readonly oldestPendingWriteAt: Date | null
}

/** The figures of every region. */
export async function readPendingFigures(control: Database): Promise<PendingFigures[]> {
  const rows = await control.query<{ region: Region; pending: string; oldest: Date | null; dead: string }>(
    `select m.region, p.pending, p.oldest, (select count(*) from dead_letter d where d.region = m.region) as dead
     from region_mode m cross join lateral (
       select count(*) as pending, min(queued_at) as oldest from pending_write w where w.region = m.region) as p`,
    [],
    { timeoutMs: TIMEOUT_MS, name: 'pending_figures' },
  )
  return rows.map((row) => ({
    region: row.region,
    pendingWrites: Number(row.pending),
    deadLetters: Number(row.dead),
    oldestPendingWriteAt: row.oldest,
  }))
}

/** True where an event of one of these workspaces waits in the queue. */
export async function isPending(control: Database, eventId: string, workspaceIds: readonly string[]): Promise<boolean> {
  const rows = await control.query(
    'select id from pending_write where id = $1 and workspace_id = any ($2::uuid[])',
    [eventId, workspaceIds],
    { timeoutMs: TIMEOUT_MS, name: 'pending_write_by_id' },
  )
  return rows.length > 0
}

/** Whether any event of these workspaces of a company waits for a region. */
export async function isAnyPending(
  control: Database,
  region: Region,
  companyId: string,
  workspaceIds: readonly string[],
): Promise<boolean> {
  const rows = await control.query(
    'select id from pending_write where company_id = $1 and region = $2 and workspace_id = any ($3::uuid[]) limit 1',
    [companyId, region, workspaceIds],
    { timeoutMs: TIMEOUT_MS, name: 'pending_write_of_workspaces' },
  )
  return rows.length > 0
}

/** How many events of a company wait for a region that a subject did, or was the target of. */
export async function countTaggedPending(
  control: Database,
  region: Region,
  companyId: string,
  tags: {
    readonly actorIds: readonly Buffer[]
    readonly actorEmails: readonly Buffer[]
    readonly targetIds: readonly Buffer[]
  },
): Promise<number> {
  const [row] = await control.query<{ n: string }>(
    `select count(*) as n from pending_write where company_id = $1 and region = $2
       and (actor_id_tag = any ($3::bytea[]) or actor_email_tag = any ($4::bytea[]) or target_id_tag = any ($5::bytea[]))`,
    [companyId, region, tags.actorIds, tags.actorEmails, tags.targetIds],
    { timeoutMs: TIMEOUT_MS, name: 'pending_write_tagged' },
  )
  return Number(row!.n)
}

/** The epochs of those of these regions that nothing waits for, and whose writes go home. */
export async function readQuietEpochs(control: Database, asked: readonly Region[]): Promise<Map<Region, number>> {
  const rows = await control.query<{ region: Region; epoch: string }>(
    `select region, epoch from region_mode m where region = any ($1::text[]) and mode = 'HOME'
       and not exists (select from pending_write p where p.region = m.region)`,
    [asked],
    { timeoutMs: TIMEOUT_MS, name: 'region_quiet_epochs' },
  )
  return new Map(rows.map(({ region, epoch }) => [region, Number(epoch)]))
}

export async function insertPendingKey(tx: Transaction, region: Region, id: string): Promise<void> {
  await tx.query('insert into pending_key (region, id) values ($1, $2)', [region, id], 'pending_key_insert')
}

/** The dead letters under a pending key, whole. */
export const readLettersUnder = (tx: Transaction, pendingKey: string): Promise<PendingWriteRow[]> =>
  tx.query<PendingWriteRow>(
    'select * from dead_letter where pending_key = $1 order by id for update',
    [pendingKey],
    'dead_letters_under_key',
  )

/** A dead letter's keys as another pending key wraps them. */
export interface RewrappedLetter {
  readonly id: string
  readonly identityKey: Buffer | null
  readonly contentKey: Buffer | null
}

/** Puts dead letters under another pending key. */
export async function rewrapLetters(
  tx: Transaction,
  pendingKey: string,
  letters: readonly RewrappedLetter[],
): Promise<void> {
  await tx.query(
    `update dead_letter d set pending_key = $1, identity_key = w.identity_key, content_key = w.content_key
     from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as w (id, identity_key, content_key) where d.id = w.id`,
    [
      pendingKey,
      uuidArray(letters.map(({ id }) => id)),
      byteaArray(letters.map(({ identityKey }) => identityKey)),
      byteaArray(letters.map(({ contentKey }) => contentKey)),
    ],
    'dead_letters_rewrap',
  )
}

/** Pending keys under which nothing is kept any more, and nothing will be. */
export const findIdleKeys = (control: Database, region: Region): Promise<{ id: string }[]> =>
  control.query<{ id: string }>(
    `select k.id from pending_key k where k.region = $1
       and not exists (select from region_mode m where m.region = k.region and m.pending_key = k.id)
       and not exists (select from pending_write p where p.pending_key = k.id)
       and not exists (select from dead_letter d where d.pending_key = k.id)`,
    [region],
    { timeoutMs: TIMEOUT_MS, name: 'pending_keys_idle' },
  )

export async function forgetKey(control: Database, region: Region, id: string): Promise<void> {
  await control.query('delete from pending_key where region = $1 and id = $2', [region, id], { timeoutMs: TIMEOUT_MS })
}
