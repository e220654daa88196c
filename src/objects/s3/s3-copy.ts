import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  UploadPartCopyCommand,
  type CompletedPart,
  type HeadObjectCommandOutput,
  type StorageClass,
} from '@aws-sdk/client-s3'
import { versionOf } from './s3-head.js'
import { abortUpload, completeUpload, encryptionOf, type S3Bucket } from './s3-bucket.js'

const GIB = 1024 ** 3
/** One request copies at most so much; S3's own limit. */
const copyBytesMax = 5 * GIB
const partBytesMin = GIB
const partsMax = 10_000

export interface CopyTo {
  readonly storageClass: StorageClass
  readonly metadata: Readonly<Record<string, string>>
}

/** Copies an object onto itself into another storage class, unless it is no longer the one of this HEAD (412). */
export async function copyInPlace(
  bucket: S3Bucket,
  key: string,
  from: HeadObjectCommandOutput,
  to: CopyTo,
  limits: { readonly copyBytesMax?: number | undefined; readonly partBytes?: number | undefined } = {},
): Promise<void> {
  const source = {
    Bucket: bucket.name,
    Key: key,
    CopySource: `${bucket.name}/${encodeURI(key)}`,
    CopySourceIfMatch: from.ETag!,
  }
  const written = {
    StorageClass: to.storageClass,
    Metadata: { ...to.metadata },
    ...(from.ContentType === undefined ? {} : { ContentType: from.ContentType }),
    ...encryptionOf(bucket),
  }
  const size = from.ContentLength ?? 0
  if (size <= (limits.copyBytesMax ?? copyBytesMax)) {
    await bucket.client.send(
      new CopyObjectCommand({ ...source, ...written, MetadataDirective: 'REPLACE', IfMatch: versionOf(from) }),
    )
    return
  }
  const { UploadId: uploadId } = await bucket.client.send(
    new CreateMultipartUploadCommand({ Bucket: bucket.name, Key: key, ChecksumAlgorithm: 'SHA256', ...written }),
  )
  try {
    const parts: CompletedPart[] = []
    const partBytes = Math.max(limits.partBytes ?? partBytesMin, Math.ceil(size / partsMax))
    for (let at = 0, number = 1; at < size; at += partBytes, number++) {
      const { CopyPartResult: part } = await bucket.client.send(
        new UploadPartCopyCommand({
          ...source,
          UploadId: uploadId,
          PartNumber: number,
          CopySourceRange: `bytes=${at}-${Math.min(at + partBytes, size) - 1}`,
        }),
      )
      const checksum = part?.ChecksumSHA256
      parts.push({
        PartNumber: number,
        ETag: part?.ETag,
        ...(checksum === undefined ? {} : { ChecksumSHA256: checksum }),
      })
    }
    await completeUpload(bucket, key, uploadId!, parts, { IfMatch: versionOf(from) })
  } catch (error) {
    await abortUpload(bucket, key, uploadId!)
    throw error
  }
}
