import type { BlobGetPropertiesResponse, ContainerClient, Tags } from '@azure/storage-blob'
import type { ObjectHead } from '../object-store.js'
import { unavailable, withDeadline } from '../store-answer.js'
import { azureAnswer, azureError } from './azure-errors.js'

/** In the metadata: tells our own object from another one's where an answer was lost. */
export const putMark = 'hyrelogput'
/** An index tag: the metadata of an archived blob can't be written, its tags can. */
export const readableUntilTag = 'hyrelog-readable-until'

/** What a container says of a blob. */
export interface FoundBlob {
  readonly properties: BlobGetPropertiesResponse
  readonly tags: Tags
}

/** Null where there is no such blob. */
export async function findBlob(container: ContainerClient, key: string, requestMs: number): Promise<FoundBlob | null> {
  const blob = container.getBlobClient(key)
  try {
    const properties = await withDeadline(requestMs, (abortSignal) => blob.getProperties({ abortSignal }))
    // The answer tells only how many there are.
    const tags =
      (properties.tagCount ?? 0) === 0
        ? {}
        : (await withDeadline(requestMs, (abortSignal) => blob.getTags({ abortSignal }))).tags
    return { properties, tags }
  } catch (error) {
    const answer = azureAnswer(error)
    if (answer.name === 'BlobNotFound') return null
    // A container that isn't there must not look like a blob that is gone.
    throw answer.status === 404 ? unavailable(answer) : azureError(error, key)
  }
}

/** True where the bytes are in the archive, or on their way out of it. */
export const isArchived = ({ properties }: FoundBlob): boolean => properties.accessTier === 'Archive'

/**
 * Where the bytes are, as Azure says: tier and `x-ms-archive-status`. Azure brings a blob out of the archive for good;
 * until when it is to be read is what we wrote beside it, and after that it is cold by our own rule.
 */
export function stateOf(found: FoundBlob, now: Date): Pick<ObjectHead, 'objectClass' | 'restoredUntil'> {
  if (isArchived(found)) {
    const pending = found.properties.archiveStatus?.startsWith('rehydrate-pending') === true
    return { objectClass: pending ? 'RESTORING' : 'COLD', restoredUntil: null }
  }
  const until = readableUntil(found)
  if (until === null) return { objectClass: 'WARM', restoredUntil: null }
  return until > now ? { objectClass: 'RESTORED', restoredUntil: until } : { objectClass: 'COLD', restoredUntil: null }
}

function readableUntil({ tags }: FoundBlob): Date | null {
  const date = new Date(tags[readableUntilTag] ?? '')
  return Number.isNaN(date.getTime()) ? null : date
}

export const headOf = (key: string, found: FoundBlob, now: Date): ObjectHead => ({
  key,
  sizeBytes: found.properties.contentLength ?? 0,
  version: found.properties.etag ?? '',
  modifiedAt: found.properties.lastModified ?? new Date(0),
  ...stateOf(found, now),
})
