import type { KeyObject } from 'node:crypto'
import type { Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { Disclosure } from '../ledger/disclosure.js'
import { blobKeyId, type BlobName, open } from '../sealing/sealed-blob.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import type { StoredEvent } from './export-event.store.js'

/** An event with all that can still be disclosed of it. */
export interface OpenedEvent {
  readonly event: StoredEvent
  readonly disclosures: readonly Disclosure[]
}

const blobNames = ['identity', 'content'] as const

const blobOf = (event: StoredEvent, blob: BlobName): Buffer | null =>
  blob === 'identity' ? event.identityBlob : event.contentBlob

/**
 * Unseals events with at most one look-up of keys. What can't be opened (its key is destroyed, its bytes were altered)
 * is left out: an export is written all the same, and whoever verifies it is told of the gap.
 */
export async function openEvents(
  tx: Transaction,
  subjectKeys: SubjectKeys,
  place: { readonly region: Region; readonly workspaceId: string },
  events: readonly StoredEvent[],
): Promise<readonly OpenedEvent[]> {
  const keyIds = new Set<string>()
  for (const event of events)
    for (const blob of blobNames) {
      const id = keyIdOf(blobOf(event, blob))
      if (id !== null) keyIds.add(id)
    }
  const keys = await subjectKeys.load(tx, place.region, [...keyIds])
  return events.map((event) => ({
    event,
    disclosures: blobNames.flatMap((blob) => openBlob(keys, place.workspaceId, event, blob)),
  }))
}

function keyIdOf(blob: Buffer | null): string | null {
  try {
    return blob === null ? null : blobKeyId(blob)
  } catch (error) {
    if (error instanceof SealBrokenError) return null
    throw error
  }
}

function openBlob(
  keys: ReadonlyMap<string, KeyObject>,
  workspaceId: string,
  event: StoredEvent,
  blob: BlobName,
): readonly Disclosure[] {
  const bytes = blobOf(event, blob)
  const keyId = keyIdOf(bytes)
  const key = keyId === null ? undefined : keys.get(keyId)
  if (bytes === null || key === undefined) return []
  try {
    return open(key, { workspaceId, eventId: event.id, blob }, bytes)
  } catch (error) {
    if (error instanceof SealBrokenError) return []
    throw error
  }
}
