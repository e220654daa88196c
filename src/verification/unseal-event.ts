import type { KeyObject } from 'node:crypto'
import { type ChainEvent, type Disclosure, fromBytes, utf8Text, ZERO_HASH } from '../ledger/index.js'
import { blobKeyId, type BlobName, open } from '../sealing/sealed-blob.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import { equalityTag, type TagKind } from '../sealing/tags.js'
import type { StoredChunk, StoredEvent } from './stored-chain.store.js'

/** Keys by id. `null`: the key is there and can't be unwrapped; absent: it was destroyed. */
export type KeysById = ReadonlyMap<string, KeyObject | null>

/** Events with the keys that open them. */
export interface OpenableChunk extends StoredChunk {
  readonly keys: KeysById
}

const blobs = [
  ['identity', 'identity_blob'],
  ['content', 'content_blob'],
] as const

/** The ids of the keys that seal these events. */
export function keyIdsOf(events: readonly StoredEvent[]): string[] {
  const ids = new Set<string>()
  for (const event of events)
    for (const [, column] of blobs) {
      const id = keyIdOf(event[column])
      if (id !== null) ids.add(id)
    }
  return [...ids]
}

function keyIdOf(blob: Buffer | null): string | null {
  try {
    return blob === null ? null : blobKeyId(blob)
  } catch (error) {
    if (error instanceof SealBrokenError) return null
    throw error
  }
}

/**
 * What stands for a blob that does not open: a disclosure that gives no digest of any body, so that the event fails as
 * one whose values are not those that were recorded.
 */
const unopened: Disclosure = { path: '', value: null, salt: Buffer.alloc(0) }

/** True for an event in an archive object that can't be read now. */
export const isLinkOnly = ({ body, object_id, body_hash }: StoredEvent): boolean =>
  body === null && object_id !== null && body_hash !== null

/** A row as the verifier of the ledger takes it. */
export function unsealEvent(
  row: StoredEvent,
  chunk: Pick<OpenableChunk, 'keys' | 'tombstones' | 'erased'>,
): ChainEvent {
  const sequence = Number(row.sequence)
  const erased = chunk.erased.get(sequence)
  const isFirst = sequence === 1 && row.prev_hash.equals(ZERO_HASH)
  return {
    sequence,
    term: row.term,
    // A body that isn't UTF-8 is none, as an empty one.
    body: row.body === null ? '' : (utf8Text(row.body) ?? ''),
    ...(isLinkOnly(row) ? { bodyHash: fromBytes(row.body_hash!) } : {}),
    prevHash: isFirst ? null : fromBytes(row.prev_hash),
    hash: fromBytes(row.hash),
    disclosures: blobs.flatMap(([blob, column]) => openBlob(row, blob, row[column], chunk.keys)),
    tombstones: chunk.tombstones.get(sequence) ?? [],
    ...(erased === undefined ? {} : { erased }),
    columns: {
      id: row.id,
      workspace: row.workspace_id,
      company: row.company_id,
      project: row.project_id,
      action: row.action,
      category: row.category,
      targetType: row.target_type,
      occurredAt: instantText(row.occurred_at),
      receivedAt: instantText(row.received_at),
    },
  }
}

/** A column of times can hold what no `Date` does, infinity for one. */
const instantText = (value: unknown): string =>
  value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : ''

function openBlob(row: StoredEvent, blob: BlobName, sealed: Buffer | null, keys: KeysById): readonly Disclosure[] {
  if (sealed === null) return []
  const keyId = keyIdOf(sealed)
  const key = keyId === null ? null : keys.get(keyId)
  // A destroyed key: what it sealed is gone, and the body's digests will say whether it may be.
  if (key === undefined) return []
  if (key === null) return [unopened]
  try {
    const disclosures = open(key, { workspaceId: row.workspace_id, eventId: row.id, blob }, sealed)
    // Erasing one blob and not the other would leave behind what is in the wrong one.
    return disclosures.every(({ path }) => path.startsWith('actor.') === (blob === 'identity'))
      ? disclosures
      : [unopened]
  } catch (error) {
    if (error instanceof SealBrokenError) return [unopened]
    throw error
  }
}

const tagged = [
  ['actor.id', 'actor_id_tag'],
  ['actor.email', 'actor_email_tag'],
  ['target.id', 'target_id_tag'],
  ['traceId', 'trace_id_tag'],
] as const satisfies readonly (readonly [TagKind, keyof StoredEvent])[]

const TAGS_REMEMBERED_MAX = 20_000

/** Tags of a company's identifiers, remembered while one chain is verified: the same actors come again and again. */
export class TagMemory {
  readonly #tagKey: KeyObject
  readonly #tags = new Map<string, Buffer>()

  constructor(tagKey: KeyObject) {
    this.#tagKey = tagKey
  }

  of(kind: TagKind, value: string): Buffer {
    const name = `${kind} ${value}`
    let tag = this.#tags.get(name)
    if (tag === undefined) {
      if (this.#tags.size >= TAGS_REMEMBERED_MAX) this.#tags.clear()
      this.#tags.set(name, (tag = equalityTag(this.#tagKey, kind, value)))
    }
    return tag
  }
}

/** What is wrong with the columns that follow from an event's disclosures, or null. */
export function columnFault(
  row: StoredEvent,
  disclosures: readonly Disclosure[],
  isErased: boolean,
  tags: TagMemory,
): string | null {
  for (const [path, column] of tagged) {
    const value = disclosures.find((disclosure) => disclosure.path === path)?.value
    const stored = row[column]
    if (value === undefined ? stored !== null : stored === null || !stored.equals(tags.of(path, value as string)))
      return 'an identifier by which the event is searched for is not the one it discloses'
  }
  if (isErased !== (row.erased_at !== null) || (!isErased && row.actor_pseudonym !== null))
    return 'the event is marked as erased and is not, or the other way round'
  return null
}
