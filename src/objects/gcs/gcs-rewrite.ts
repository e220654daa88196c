import type { Bucket, FileMetadata } from '@google-cloud/storage'
import { withDeadline } from '../store-answer.js'
import { generationOf } from './gcs-head.js'

export interface RewriteTo {
  readonly storageClass: 'STANDARD' | 'COLDLINE' | 'ARCHIVE'
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * Rewrites an object onto itself into another class, unless it is no longer this generation (412). Big ones take several
 * calls, each of which has to say the same: the client's own `copy` leaves class and condition out of all but the first.
 */
export async function rewriteInPlace(
  bucket: Bucket,
  key: string,
  from: FileMetadata,
  to: RewriteTo,
  requestMs: number,
): Promise<void> {
  const name = encodeURIComponent(key)
  const generation = generationOf(from)
  for (let token: string | undefined; ;) {
    const [answer] = await withDeadline(requestMs, () =>
      bucket.request({
        method: 'POST',
        uri: `/o/${name}/rewriteTo/b/${bucket.name}/o/${name}`,
        qs: {
          sourceGeneration: generation,
          ifGenerationMatch: generation,
          ...(token === undefined ? {} : { rewriteToken: token }),
        },
        json: { storageClass: to.storageClass, contentType: from.contentType, metadata: to.metadata },
      }),
    )
    const { done, rewriteToken } = answer as { readonly done?: boolean; readonly rewriteToken?: string }
    if (done === true || rewriteToken === undefined) return
    token = rewriteToken
  }
}
