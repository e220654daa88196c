import { DeleteObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3'
import { ObjectLockedError } from '../object-errors.js'
import { unavailable } from '../store-answer.js'
import { headObject, type S3Bucket } from './s3-bucket.js'
import { s3Answer, s3Error } from './s3-errors.js'
import { isLocked } from './s3-head.js'

interface Version {
  readonly id: string
  readonly isMarker: boolean
}

/** Every version and delete marker of a key, newest first. In a bucket without versions it is one called `null`. */
async function versionsOf(bucket: S3Bucket, key: string): Promise<Version[]> {
  const found: { readonly version: Version; readonly latest: boolean; readonly at: number }[] = []
  let marker: { readonly KeyMarker?: string; readonly VersionIdMarker?: string } = {}
  for (;;) {
    const page = await bucket.client.send(
      new ListObjectVersionsCommand({ Bucket: bucket.name, Prefix: key, ...marker }),
    )
    const rows = [
      ...(page.Versions ?? []).map((row) => ({ row, isMarker: false })),
      ...(page.DeleteMarkers ?? []).map((row) => ({ row, isMarker: true })),
    ].filter(({ row }) => row.Key === key)
    for (const { row, isMarker } of rows)
      found.push({
        version: { id: row.VersionId ?? 'null', isMarker },
        latest: row.IsLatest === true,
        at: row.LastModified?.getTime() ?? 0,
      })
    // Keys come in order, and the key itself before all that begin with it.
    if (page.IsTruncated !== true || page.NextKeyMarker !== key) break
    marker = {
      KeyMarker: page.NextKeyMarker,
      ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
    }
  }
  // Stable: where two bear the same second, the order of the answer stands.
  return found.sort((a, b) => Number(b.latest) - Number(a.latest) || b.at - a.at).map(({ version }) => version)
}

/**
 * Deletes an object with every version that its bucket keeps of it: what is erased must not come back by naming an old
 * version. Oldest first, so that at a locked one (ObjectLockedError) the object stays what it is.
 */
export async function deleteEveryVersion(bucket: S3Bucket, key: string, now: Date): Promise<void> {
  const versions = await listed(bucket, key)
  if (versions === null) return deleteVersion(bucket, key, undefined, now)
  // Where nothing else is there, the plain request also is one that a server without versions understands.
  if (versions.length === 1 && versions[0]!.id === 'null' && !versions[0]!.isMarker)
    return deleteVersion(bucket, key, undefined, now)
  for (const { id } of versions.reverse()) await deleteVersion(bucket, key, id, now)
}

/** Null where the server knows no versions at all. */
async function listed(bucket: S3Bucket, key: string): Promise<Version[] | null> {
  try {
    return await versionsOf(bucket, key)
  } catch (error) {
    const answer = s3Answer(error)
    if (answer.status === 501 || answer.status === 405) return null
    throw unavailable(answer)
  }
}

/** Deletes the versions older than this one, which is ours; newer ones are somebody else's. */
export async function deleteOlderVersions(bucket: S3Bucket, key: string, than: string, now: Date): Promise<void> {
  const versions = (await listed(bucket, key)) ?? []
  const own = versions.findIndex(({ id }) => id === than)
  if (own < 0) return
  for (const { id } of versions.slice(own + 1).reverse()) await deleteVersion(bucket, key, id, now)
}

async function deleteVersion(bucket: S3Bucket, key: string, id: string | undefined, now: Date): Promise<void> {
  try {
    await bucket.client.send(
      new DeleteObjectCommand({ Bucket: bucket.name, Key: key, ...(id === undefined ? {} : { VersionId: id }) }),
    )
  } catch (error) {
    const answer = s3Answer(error)
    if (answer.name === 'NoSuchKey' || answer.name === 'NoSuchVersion') return
    // A lock is an AccessDenied like any other: the version's own retention tells.
    if (answer.status === 403 || answer.status === 400) {
      const found = await headObject(bucket, key, id).catch(() => null)
      if (found !== null && isLocked(found, now)) throw new ObjectLockedError(key)
    }
    throw s3Error(error, key)
  }
}
