import type { KeyObject } from 'node:crypto'
import type { SealedDraft } from '../events/event-draft.js'
import type { Region } from '../kernel/region.js'
import { bodyHash } from '../ledger/index.js'
import type { AdoptedKey } from '../sealing/subject-keys.js'
import { blobKeyId, type BlobName, type SealingKey } from '../sealing/sealed-blob.js'
import { newSecretKey, openSecret, sealSecret, secretKey } from '../sealing/secret-box.js'
import { newUuid } from '../kernel/ids.js'

/** A sealed event with the keys that sealed it, themselves sealed: all of it that is kept outside its region. */
export interface PendingWrite {
  readonly draft: SealedDraft
  /** The key of the region's vault that opens the two. */
  readonly pendingKey: string
  readonly identityKey: Buffer | null
  readonly contentKey: Buffer | null
}

/** Why an event could not be recorded, in a few fixed words. */
export type DeadLetterReason = 'idempotency_conflict' | 'refused' | 'key_missing' | 'unreadable'

/** A row of `pending_write`, and of `dead_letter`. */
export interface PendingWriteRow {
  readonly position: string
  readonly region: Region
  readonly id: string
  readonly company_id: string
  readonly workspace_id: string
  readonly project_id: string | null
  readonly body: Buffer
  /** Text where MikroORM read it. */
  readonly occurred_at: Date | string
  readonly received_at: Date | string
  readonly action: string
  readonly category: string
  readonly target_type: string | null
  readonly actor_id_tag: Buffer | null
  readonly actor_email_tag: Buffer | null
  readonly target_id_tag: Buffer | null
  readonly trace_id_tag: Buffer | null
  readonly identity_blob: Buffer | null
  readonly content_blob: Buffer | null
  readonly pending_key: string
  readonly identity_key: Buffer | null
  readonly content_key: Buffer | null
  readonly key_digest: Buffer | null
  readonly fingerprint: Buffer | null
}

const wrapName = (region: Region, companyId: string, blob: BlobName, keyId: string): string =>
  `pending ${blob} key ${keyId} of company ${companyId} in ${region}`

/** A fresh key for a blob. */
export const newSealingKey = (nowMs: number): SealingKey => ({ id: newUuid(nowMs), key: newSecretKey() })

/** The key of a blob as it is kept beside it. */
export const wrapPending = (
  pendingKey: KeyObject,
  place: { readonly region: Region; readonly companyId: string },
  blob: BlobName,
  { id, key }: SealingKey,
): Buffer => sealSecret(pendingKey, wrapName(place.region, place.companyId, blob, id), key.export())

/** The inverse of {@link wrapPending}. Throws SealBrokenError. */
export const unwrapPending = (
  pendingKey: KeyObject,
  place: { readonly region: Region; readonly companyId: string },
  blob: BlobName,
  keyId: string,
  wrapped: Buffer,
): SealingKey => ({
  id: keyId,
  key: secretKey(openSecret(pendingKey, wrapName(place.region, place.companyId, blob, keyId), wrapped)),
})

/** The event of a row. What sealed it is no concern of its region any more, nor is what it said in clear. */
export function draftOf(row: PendingWriteRow): SealedDraft {
  const { region, company_id: companyId, workspace_id: workspaceId } = row
  return {
    region,
    companyId,
    workspaceId,
    id: row.id,
    projectId: row.project_id,
    action: row.action,
    category: row.category,
    targetType: row.target_type,
    occurredAt: new Date(row.occurred_at),
    receivedAt: new Date(row.received_at),
    body: row.body,
    bodyHash: bodyHash(row.body),
    tags: {
      actorId: row.actor_id_tag,
      actorEmail: row.actor_email_tag,
      targetId: row.target_id_tag,
      traceId: row.trace_id_tag,
    },
    subject: { companyId, workspaceId, actorId: null, actorEmail: null },
    identityText: null,
    contentText: null,
    idempotency:
      row.key_digest === null || row.fingerprint === null
        ? null
        : { keyDigest: row.key_digest, fingerprint: row.fingerprint, field: 'idempotencyKey' },
    bytes: row.body.length,
    identityBlob: row.identity_blob,
    contentBlob: row.content_blob,
  }
}

/** The keys of a row's blobs, opened. Throws SealBrokenError. */
export function keysOf(row: PendingWriteRow, pendingKey: KeyObject): AdoptedKey[] {
  const place = { region: row.region, companyId: row.company_id }
  const of = (blob: BlobName, sealed: Buffer | null, wrapped: Buffer | null): AdoptedKey[] =>
    sealed === null || wrapped === null
      ? []
      : [
          {
            key: unwrapPending(pendingKey, place, blob, blobKeyId(sealed), wrapped),
            companyId: row.company_id,
            blob,
            actorIdTag: row.actor_id_tag,
            actorEmailTag: row.actor_email_tag,
          },
        ]
  return [...of('identity', row.identity_blob, row.identity_key), ...of('content', row.content_blob, row.content_key)]
}
