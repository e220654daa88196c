import type { GetObjectCommandOutput, HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import type { ObjectHead } from '../object-store.js'

/** Names of our own metadata. Azure wants identifiers, so there are no hyphens. */
export const putMark = 'hyrelogput'
export const readableUntilMark = 'hyrelogreadableuntil'

type Answer = HeadObjectCommandOutput | GetObjectCommandOutput
type State = Pick<ObjectHead, 'objectClass' | 'restoredUntil'>

const archiveClasses: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE'])

/** True where the bytes are in an archive, whatever copy may be readable; also where the bucket's rules moved them. */
export const isArchived = (answer: Answer): boolean =>
  archiveClasses.has(answer.StorageClass ?? 'STANDARD') ||
  ('ArchiveStatus' in answer && answer.ArchiveStatus !== undefined)

/**
 * Where the bytes are, as S3 says: `x-amz-storage-class` and `x-amz-restore`
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html). A server that has classes and no restore has
 * been told by us until when the object, brought back, is to be read.
 */
export function stateOf(answer: Answer, now: Date): State {
  if (!isArchived(answer)) {
    const until = dateOf(answer.Metadata?.[readableUntilMark])
    return until === null ? { objectClass: 'WARM', restoredUntil: null } : restoredState(until, now)
  }
  const [, ongoing, expiry] =
    /^\s*ongoing-request="(true|false)"(?:,\s*expiry-date="([^"]+)")?/.exec(answer.Restore ?? '') ?? []
  if (ongoing === 'true') return { objectClass: 'RESTORING', restoredUntil: null }
  const until = dateOf(expiry)
  return until === null ? { objectClass: 'COLD', restoredUntil: null } : restoredState(until, now)
}

const restoredState = (until: Date, now: Date): State =>
  until > now ? { objectClass: 'RESTORED', restoredUntil: until } : { objectClass: 'COLD', restoredUntil: null }

function dateOf(text: string | undefined): Date | null {
  const date = new Date(text ?? '')
  return Number.isNaN(date.getTime()) ? null : date
}

/**
 * The ETag less its quotes: so Amazon's own examples of If-Match have it, and radosgw compares it as it stands.
 */
export const versionOf = (answer: HeadObjectCommandOutput): string => (answer.ETag ?? '').replace(/^"(.*)"$/, '$1')

export const headOf = (key: string, answer: HeadObjectCommandOutput, now: Date): ObjectHead => ({
  key,
  sizeBytes: answer.ContentLength ?? 0,
  version: versionOf(answer),
  modifiedAt: answer.LastModified ?? new Date(0),
  ...stateOf(answer, now),
})

/** True where Object Lock forbids to delete or replace this version now. */
export const isLocked = (answer: HeadObjectCommandOutput, now: Date): boolean =>
  answer.ObjectLockLegalHoldStatus === 'ON' ||
  answer.ObjectLockEventHold === 'ON' ||
  (answer.ObjectLockRetainUntilDate !== undefined && answer.ObjectLockRetainUntilDate > now)
