import type { KeyObject } from 'node:crypto'
import { newUuid } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { saltSource } from '../kernel/random.js'
import {
  buildBodyOfDigests,
  disclosureJson,
  disclosuresOf,
  jsonDigestBase64,
  SALT_BYTES,
  type Disclosure,
} from '../ledger/index.js'
import type { SubjectKeyPair, Subject } from '../sealing/subject-keys.js'
import { blobEntry, sealText } from '../sealing/sealed-blob.js'
import { equalityTag, type TagKind } from '../sealing/tags.js'
import { idempotencyMark, type IdempotencyMark } from './idempotency.js'
import type { ValidIngest } from './validate-ingest.js'

// Beside body and disclosures a draft holds ids, tags, digests and objects: enough to bound memory by, not exact.
const DRAFT_OVERHEAD_BYTES = 1_024

/** Where an event goes. */
export interface EventPlace {
  readonly region: Region
  readonly companyId: string
  readonly workspaceId: string
}

/** The 16-byte tags by which an event is found; null where it has no such identifier. */
export interface EventTags {
  readonly actorId: Buffer | null
  readonly actorEmail: Buffer | null
  readonly targetId: Buffer | null
  readonly traceId: Buffer | null
}

/**
 * An accepted event: its id, times and body are fixed and never change again, wherever it waits. What is still open is
 * its place in the chain, and the key that seals its personal data.
 */
export interface EventDraft extends EventPlace {
  /** Plain UUID. */
  readonly id: string
  readonly projectId: string | null
  readonly action: string
  readonly category: string
  readonly targetType: string | null
  readonly occurredAt: Date
  readonly receivedAt: Date
  readonly body: Buffer
  readonly bodyHash: Buffer
  readonly tags: EventTags
  readonly subject: Subject
  /** The disclosures of `actor.*` as they are sealed; null where there is none. */
  readonly identityText: string | null
  /** All other disclosures. */
  readonly contentText: string | null
  readonly idempotency: IdempotencyMark | null
  /** About what it takes in memory. */
  readonly bytes: number
}

/** A draft whose personal data is sealed: what a region stores but for its place in the chain. */
export interface SealedDraft extends EventDraft {
  readonly identityBlob: Buffer | null
  readonly contentBlob: Buffer | null
}

/**
 * Fixes an input as an event of its workspace, received at `receivedAt`. `prefix` is where the input stands in the
 * request (`''` or `events[3].`). The body follows ledger format HL1, section 2.
 */
export function draftEvent(
  input: ValidIngest,
  place: EventPlace,
  tagKey: KeyObject,
  receivedAt: Date,
  prefix: string,
): EventDraft {
  const { region, companyId, workspaceId } = place
  const { actor, targetId, traceId } = input
  const id = newUuid(receivedAt.getTime())
  const occurredAt = input.occurredAt ?? receivedAt
  const disclosures = disclosuresOf(
    {
      actor,
      target: { id: targetId },
      payload: input.payload,
      metadata: input.metadata,
      changes: input.changes,
      traceId,
    },
    saltSource(SALT_BYTES),
  )
  const { digests, identityText, contentText } = writeDisclosures(disclosures)
  const { body, bodyHash } = buildBodyOfDigests(
    {
      id,
      workspace: workspaceId,
      company: companyId,
      region,
      project: input.projectId,
      action: input.action,
      category: input.category,
      targetType: input.targetType,
      occurredAt: occurredAt.toISOString(),
      receivedAt: receivedAt.toISOString(),
    },
    disclosures,
    digests,
  )
  return {
    region,
    companyId,
    workspaceId,
    id,
    projectId: input.projectId,
    action: input.action,
    category: input.category,
    targetType: input.targetType,
    occurredAt,
    receivedAt,
    body,
    bodyHash,
    tags: tagsOf(input, tagKey),
    subject: { companyId, workspaceId, actorId: actor?.id ?? null, actorEmail: actor?.email ?? null },
    identityText,
    contentText,
    idempotency:
      input.idempotencyKey === null
        ? null
        : idempotencyMark(tagKey, {
            workspaceId,
            key: input.idempotencyKey,
            contentText: input.contentText,
            field: `${prefix}idempotencyKey`,
          }),
    bytes: DRAFT_OVERHEAD_BYTES + body.length + 2 * input.jsonBytes,
  }
}

/** Each is written once: its digest and its place in a blob are made of one text. */
function writeDisclosures(disclosures: readonly Disclosure[]) {
  const identity: string[] = []
  const content: string[] = []
  const digests = disclosures.map((disclosure) => {
    const json = disclosureJson(disclosure)
    const { path, salt } = disclosure
    const blob = path.startsWith('actor.') ? identity : content
    blob.push(blobEntry(json, salt))
    return jsonDigestBase64(json, salt)
  })
  return { digests, identityText: blobText(identity), contentText: blobText(content) }
}

const blobText = (entries: readonly string[]): string | null => (entries.length === 0 ? null : `[${entries.join(',')}]`)

function tagsOf({ actor, targetId, traceId }: ValidIngest, tagKey: KeyObject): EventTags {
  const tag = (kind: TagKind, value: string | null | undefined): Buffer | null =>
    value === null || value === undefined ? null : equalityTag(tagKey, kind, value)
  return {
    actorId: tag('actor.id', actor?.id),
    actorEmail: tag('actor.email', actor?.email),
    targetId: tag('target.id', targetId),
    traceId: tag('traceId', traceId),
  }
}

/** Seals a draft's disclosures under its subject's keys; a blob without any is null. */
export function sealDraft(draft: EventDraft, keys: SubjectKeyPair): SealedDraft {
  const { workspaceId, id: eventId } = draft
  return {
    ...draft,
    identityBlob:
      draft.identityText === null
        ? null
        : sealText(keys.identity, { workspaceId, eventId, blob: 'identity' }, draft.identityText),
    contentBlob:
      draft.contentText === null
        ? null
        : sealText(keys.content, { workspaceId, eventId, blob: 'content' }, draft.contentText),
  }
}
