import type { Bucket, FileMetadata } from '@google-cloud/storage'
import { ObjectNotFoundError } from '../object-errors.js'
import type { ObjectHead } from '../object-store.js'
import { withDeadline } from '../store-answer.js'
import { bucketError, gcsError } from './gcs-errors.js'

/** In the metadata: tells our own object from another one's where an answer was lost. */
export const putMark = 'hyrelogput'
export const readableUntilMark = 'hyrelogreadableuntil'

const coldClasses: ReadonlySet<string> = new Set(['COLDLINE', 'ARCHIVE'])

export const isArchived = ({ storageClass }: FileMetadata): boolean => coldClasses.has(storageClass ?? 'STANDARD')

/** Null where there is no such object. */
export async function findObject(bucket: Bucket, key: string, requestMs: number): Promise<FileMetadata | null> {
  try {
    const [metadata] = await withDeadline(requestMs, () => bucket.file(key).getMetadata())
    return metadata
  } catch (error) {
    const failure = gcsError(error, key)
    if (!(failure instanceof ObjectNotFoundError)) throw failure
    // A bucket that isn't there gives the same answer. Nobody may take that for an object that is gone.
    await requireBucket(bucket, key, requestMs)
    return null
  }
}

/** By a list, for which no other right is needed than an archive needs anyway. */
async function requireBucket(bucket: Bucket, key: string, requestMs: number): Promise<void> {
  try {
    await withDeadline(requestMs, () => bucket.getFiles({ prefix: key, maxResults: 1, autoPaginate: false }))
  } catch (error) {
    throw bucketError(error, key)
  }
}

/**
 * Where the bytes are. Google reads every class out at once; by our own rule what is in COLDLINE or ARCHIVE is cold
 * until a restore was asked for: reading there costs by the gigabyte, and somebody is to have wanted that.
 */
export function stateOf(metadata: FileMetadata, now: Date): Pick<ObjectHead, 'objectClass' | 'restoredUntil'> {
  if (isArchived(metadata)) return { objectClass: 'COLD', restoredUntil: null }
  const until = new Date(String(metadata.metadata?.[readableUntilMark] ?? ''))
  if (Number.isNaN(until.getTime())) return { objectClass: 'WARM', restoredUntil: null }
  return until > now ? { objectClass: 'RESTORED', restoredUntil: until } : { objectClass: 'COLD', restoredUntil: null }
}

export const generationOf = (metadata: FileMetadata): string => String(metadata.generation ?? '')

export const headOf = (key: string, metadata: FileMetadata, now: Date): ObjectHead => ({
  key,
  sizeBytes: Number(metadata.size ?? 0),
  version: generationOf(metadata),
  modifiedAt: new Date(metadata.timeCreated ?? 0),
  ...stateOf(metadata, now),
})

/** True where a retention period or a hold forbids to delete or replace this generation now. */
export function isLocked(metadata: FileMetadata, now: Date): boolean {
  const ends = [metadata.retentionExpirationTime, metadata.retention?.retainUntilTime]
  return (
    metadata.temporaryHold === true ||
    metadata.eventBasedHold === true ||
    ends.some((end) => end !== undefined && new Date(end) > now)
  )
}
