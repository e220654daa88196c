import type { KeyObject } from 'node:crypto'
import { DatabaseError } from '../db/database-error.js'
import type { Database, Transaction } from '../db/database.js'
import { commitBatch } from '../events/commit-batch.js'
import { draftSystemEvent } from '../events/draft-system-event.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import { type Disclosure, tombstone, TombstoneSet } from '../ledger/index.js'
import { holdSubjectKeys, SubjectKeysDestroyedError } from '../sealing/hold-subject-keys.js'
import { blobKeyId, type BlobName, open, seal, type SealingKey } from '../sealing/sealed-blob.js'
import type { SubjectKeys, TagKeyOf } from '../sealing/subject-keys.js'
import { eraseDisclosures, type ErasedRow, readSealedEvents, type SealedEventRow } from './erasure.store.js'
import type { GdprRequestType } from './gdpr-request.js'
import type { ContentMatcher } from './personal-content.js'
import { type EventErasure, planErasure } from './plan-erasure.js'
import type { SubjectTags } from './subject.js'

const EVENTS_PER_PAGE = 200
const EVENTS_PER_ERASURE_MAX = 500
const DISCLOSURES_PER_ERASURE_MAX = 20_000
const TIMEOUT_MS = 30_000
/** How often a stretch is planned again that other erasures or turns of buckets got in the way of. */
export const ATTEMPTS_MAX = 8
/** Version, key id and nonce: no two sealings share them. */
const BLOB_HEAD_BYTES = 29

export interface EraseWorkspaceDeps {
  readonly subjectKeys: SubjectKeys
  readonly tagKeyOf: TagKeyOf
  readonly clock: Clock
  /** Told after each commit, so that index and checkpoints follow. */
  readonly onCommitted: (region: Region, chains: readonly { workspaceId: string; companyId: string }[]) => void
  /** Told of each erasure that was committed, before anything else is done. */
  readonly onErased: (chain: { workspaceId: string; companyId: string }, sequence: number) => Promise<void>
}

/** Who is to be erased, and how. */
export interface ErasureSubject {
  readonly requestId: string
  readonly companyId: string
  readonly mode: GdprRequestType
  readonly tags: SubjectTags
  readonly mentions: ContentMatcher
  /** What the actor is shown as from now on; null: nothing. */
  readonly pseudonym: Buffer | null
}

export interface Chain {
  readonly region: Region
  readonly database: Database
  readonly workspaceId: string
}

export interface PlannedErasure {
  readonly erasure: EventErasure
  readonly row: Pick<SealedEventRow, 'id' | 'identity_blob' | 'content_blob'>
}

/**
 * Erases a subject from the events of one chain that come after `from`: each batch in one transaction with the erasure
 * event that says so. `onProgress` is told up to where nothing is left to do, and how many events were erased on the
 * way. It may be cut short anywhere and repeated from anywhere before: what is erased is not found again.
 */
export async function eraseWorkspace(
  deps: EraseWorkspaceDeps,
  chain: Chain,
  subject: ErasureSubject,
  from: number,
  onProgress: (scannedTo: number, erased: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let after = from
  for (let failures = 0; ;) {
    signal.throwIfAborted()
    const epoch = deps.subjectKeys.epoch(chain.region)
    const stretch = await planStretch(deps, chain, subject, after, signal)
    try {
      if (stretch.planned.length > 0) await commitErasure(deps, chain, subject, stretch.planned, epoch)
    } catch (error) {
      if (!isOvertaken(error) || ++failures === ATTEMPTS_MAX) throw error
      continue
    }
    failures = 0
    after = stretch.to
    await onProgress(after, stretch.planned.length)
    if (stretch.isLast) return
  }
}

/** Another erasure changed these events, or destroyed a key, since they were read. */
export const isOvertaken = (error: unknown): boolean =>
  error instanceof SubjectKeysDestroyedError ||
  (error instanceof DatabaseError && (error.kind === 'serialization' || error.kind === 'unique_violation'))

async function planStretch(
  deps: EraseWorkspaceDeps,
  chain: Chain,
  subject: ErasureSubject,
  from: number,
  signal: AbortSignal,
): Promise<{ planned: PlannedErasure[]; to: number; isLast: boolean }> {
  const planned: PlannedErasure[] = []
  let to = from
  let disclosures = 0
  for (;;) {
    signal.throwIfAborted()
    const { rows, keys } = await readPage(deps, chain, subject.companyId, to)
    for (const row of rows) {
      const erasure = planRow(chain, subject, row, keys)
      if (erasure === null) continue
      planned.push({ erasure, row })
      disclosures += erasure.digests.length
    }
    to = rows.length === 0 ? to : Number(rows.at(-1)!.sequence)
    if (rows.length < EVENTS_PER_PAGE) return { planned, to, isLast: true }
    if (planned.length >= EVENTS_PER_ERASURE_MAX || disclosures >= DISCLOSURES_PER_ERASURE_MAX)
      return { planned, to, isLast: false }
  }
}

const readPage = (deps: EraseWorkspaceDeps, chain: Chain, companyId: string, after: number) =>
  chain.database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, async (tx) => {
    const rows = await readSealedEvents(tx, chain.workspaceId, after, EVENTS_PER_PAGE)
    const keys = await deps.subjectKeys.load(tx, chain.region, [...new Set(rows.flatMap(keyIdsOf))])
    return { rows, keys }
  })

const blobsOf = (row: PlannedErasure['row']): (Buffer | null)[] => [row.identity_blob, row.content_blob]
export const keyIdsOf = (row: PlannedErasure['row']): string[] =>
  blobsOf(row).flatMap((blob) => (blob === null ? [] : [blobKeyId(blob)]))

function planRow(
  { workspaceId }: Chain,
  { mode, tags, mentions }: ErasureSubject,
  row: SealedEventRow,
  keys: ReadonlyMap<string, KeyObject>,
): EventErasure | null {
  const opened = (blob: BlobName, bytes: Buffer | null): readonly Disclosure[] | null => {
    const key = bytes === null ? undefined : keys.get(blobKeyId(bytes))
    // Without its key nothing can be taken out of a blob, nor be read from it.
    return bytes === null || key === undefined ? null : open(key, { workspaceId, eventId: row.id, blob }, bytes)
  }
  const has = (among: readonly Buffer[], tag: Buffer | null): boolean =>
    tag !== null && among.some((one) => one.equals(tag))
  return planErasure(
    mode,
    {
      sequence: Number(row.sequence),
      id: row.id,
      isOwn: has(tags.actorIds, row.actor_id_tag) || has(tags.actorEmails, row.actor_email_tag),
      identity: opened('identity', row.identity_blob),
      content: opened('content', row.content_blob),
    },
    mentions,
  )
}

async function commitErasure(
  deps: EraseWorkspaceDeps,
  chain: Chain,
  subject: ErasureSubject,
  planned: readonly PlannedErasure[],
  epoch: number,
): Promise<void> {
  const rows = await sealSurvivors(deps, chain, subject, planned)
  await appendErasure(deps, chain, subject, rows, epoch, (tx, { sequence, at }) =>
    eraseDisclosures(tx, chain.workspaceId, { sequence, at, pseudonym: subject.pseudonym }, rows),
  )
}

/**
 * Appends the erasure event of these rows, and takes away what it says in the same transaction. SubjectKeysDestroyedError
 * where a key that survivors were sealed with has gone since `epoch`.
 */
export async function appendErasure(
  deps: EraseWorkspaceDeps,
  { region, database, workspaceId }: Chain,
  subject: ErasureSubject,
  rows: readonly ErasedRow[],
  epoch: number,
  take: (tx: Transaction, erasure: { readonly sequence: number; readonly at: Date }) => Promise<void>,
): Promise<void> {
  const { companyId } = subject
  const at = deps.clock.now()
  const draft = draftSystemEvent(
    { region, companyId, workspaceId },
    {
      action: 'gdpr.erasure',
      system: { erasure: erasureMember(workspaceId, subject, rows) },
      receivedAt: at,
      idempotency: null,
    },
  )
  const erasure = await database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, async (tx) => {
    const keyIds = (): string[] =>
      rows.flatMap((row) => [row.identity, row.content].flatMap((blob) => (blob === null ? [] : [blobKeyId(blob)])))
    await holdSubjectKeys(tx, { subjectKeys: deps.subjectKeys, region, epoch, keyIds })
    const batch = await commitBatch(tx, [[{ ...draft, identityBlob: null, contentBlob: null }]])
    await batch.written
    const [outcome] = batch.outcomes
    const sequence = outcome !== undefined && 'receipts' in outcome ? outcome.receipts[0]?.sequence : undefined
    if (sequence == null) throw new Error('an erasure event was not linked')
    await take(tx, { sequence, at })
    return sequence
  })
  await deps.onErased({ workspaceId, companyId }, erasure)
  deps.onCommitted(region, [{ workspaceId, companyId }])
}

/** The member `erasure` of the event's body (ledger format HL1, section 5). */
function erasureMember(workspaceId: string, { mode, requestId }: ErasureSubject, rows: readonly ErasedRow[]) {
  const tombstones = rows.flatMap(({ sequence, digests }) =>
    digests.map((digest) => tombstone({ workspaceId, sequence, digest })),
  )
  return {
    disclosures: tombstones.length,
    events: rows.length,
    mode,
    request: requestId,
    root: new TombstoneSet(tombstones).root().toString('base64'),
  }
}

/** What stays of each event, sealed again where something of it goes. */
export async function sealSurvivors(
  deps: EraseWorkspaceDeps,
  { region, database, workspaceId }: Chain,
  { companyId }: ErasureSubject,
  planned: readonly PlannedErasure[],
): Promise<ErasedRow[]> {
  const nobody = { companyId, workspaceId, actorId: null, actorEmail: null }
  // Whose keys are destroyed leaves its content to the workspace's own key; others keep theirs.
  const [own] = await deps.subjectKeys.ensure(database, region, deps.tagKeyOf, [nobody])
  const keyIds = [...new Set(planned.flatMap(({ row }) => keyIdsOf(row)))]
  const keys = await database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, (tx) =>
    deps.subjectKeys.load(tx, region, keyIds),
  )
  const keyOf = (blob: BlobName, bytes: Buffer, isOwn: boolean): SealingKey => {
    if (isOwn) return own![blob]
    const id = blobKeyId(bytes)
    const key = keys.get(id)
    if (key === undefined) throw new SubjectKeysDestroyedError('a key was destroyed while its blob was changed')
    return { id, key }
  }
  return planned.map(({ erasure, row }) => {
    const sealed = (blob: BlobName, bytes: Buffer | null): Buffer | null => {
      const kept = erasure[blob]
      if (kept === 'same' || bytes === null) return bytes
      if (kept === null) return null
      return seal(keyOf(blob, bytes, erasure.isOwn), { workspaceId, eventId: row.id, blob }, kept)
    }
    const { sequence, digests, actor, target, trace } = erasure
    return {
      sequence,
      digests,
      actor,
      target,
      trace,
      identitySeen: row.identity_blob?.subarray(0, BLOB_HEAD_BYTES) ?? null,
      contentSeen: row.content_blob?.subarray(0, BLOB_HEAD_BYTES) ?? null,
      identity: sealed('identity', row.identity_blob),
      content: sealed('content', row.content_blob),
    }
  })
}
