import type { Bucket } from '@google-cloud/storage'
import { ObjectNotFoundError } from '../object-errors.js'
import { withDeadline } from '../store-answer.js'
import { bucketError, gcsError } from './gcs-errors.js'

/**
 * Deletes generations of an object, oldest first, so that at a locked one (ObjectLockedError) the object stays what it
 * is: all of them, or those before the one that is named. Where a bucket keeps former generations, what is erased must
 * not come back by naming one.
 */
export async function deleteGenerations(
  bucket: Bucket,
  key: string,
  requestMs: number,
  before?: string,
): Promise<void> {
  const [files] = await withDeadline(requestMs, () => bucket.getFiles({ prefix: key, versions: true })).catch(
    (error: unknown) => {
      throw bucketError(error, key)
    },
  )
  const generations = files
    .filter(({ name }) => name === key)
    .map(({ metadata }) => BigInt(metadata.generation ?? 0))
    .filter((generation) => before === undefined || generation < BigInt(before))
    .sort((a, b) => (a < b ? -1 : 1))
  for (const generation of generations) {
    try {
      const file = bucket.file(key, { generation: String(generation) })
      await withDeadline(requestMs, () => file.delete())
    } catch (error) {
      const failure = gcsError(error, key)
      if (!(failure instanceof ObjectNotFoundError)) throw failure
    }
  }
}
