import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  type CompletedPart,
  type HeadObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3'
import { unavailable } from '../store-answer.js'
import { s3Answer, s3Error } from './s3-errors.js'

/** How what is written is encrypted at rest; `bucket` leaves it to the bucket's own setting. */
export type S3Encryption =
  | { readonly kind: 'bucket' }
  | { readonly kind: 'aes256' }
  | { readonly kind: 'kms'; readonly keyId?: string }

export interface S3Bucket {
  readonly client: S3Client
  readonly name: string
  readonly encryption: S3Encryption
}

/** What a request that writes an object has to say of its encryption; a copy doesn't inherit it. */
export function encryptionOf({ encryption }: S3Bucket): {
  readonly ServerSideEncryption?: 'AES256' | 'aws:kms'
  readonly SSEKMSKeyId?: string
} {
  if (encryption.kind === 'bucket') return {}
  if (encryption.kind === 'aes256') return { ServerSideEncryption: 'AES256' }
  return {
    ServerSideEncryption: 'aws:kms',
    ...(encryption.keyId === undefined ? {} : { SSEKMSKeyId: encryption.keyId }),
  }
}

/** Null where there is no such object, or no such version of it. */
export async function headObject(
  bucket: S3Bucket,
  key: string,
  versionId?: string,
): Promise<HeadObjectCommandOutput | null> {
  try {
    return await bucket.client.send(
      new HeadObjectCommand({
        Bucket: bucket.name,
        Key: key,
        ...(versionId === undefined ? {} : { VersionId: versionId }),
      }),
    )
  } catch (error) {
    if (s3Answer(error).status !== 404) throw s3Error(error, key)
    // A bucket that isn't there gives the same answer. Nobody may take that for an object that is gone.
    await requireBucket(bucket)
    return null
  }
}

async function requireBucket(bucket: S3Bucket): Promise<void> {
  try {
    await bucket.client.send(new HeadBucketCommand({ Bucket: bucket.name }))
  } catch (error) {
    const answer = s3Answer(error)
    throw unavailable(answer.status === 404 ? { ...answer, name: 'NoSuchBucket' } : answer)
  }
}

/** A condition on what the finished object takes the place of. */
export type WriteCondition = { readonly IfNoneMatch: '*' } | { readonly IfMatch: string }

export async function completeUpload(
  { client, name }: S3Bucket,
  key: string,
  uploadId: string,
  parts: readonly CompletedPart[],
  condition: WriteCondition,
): Promise<void> {
  await client.send(
    new CompleteMultipartUploadCommand({
      Bucket: name,
      Key: key,
      UploadId: uploadId,
      MultipartUpload: { Parts: [...parts] },
      ...condition,
    }),
  )
}

/**
 * Gives the parts of an upload up. What can't be given up now is left to the bucket's rule for incomplete uploads: the
 * failure that led here is the one to tell.
 */
export async function abortUpload({ client, name }: S3Bucket, key: string, uploadId: string): Promise<void> {
  await client
    .send(new AbortMultipartUploadCommand({ Bucket: name, Key: key, UploadId: uploadId }))
    .catch(() => undefined)
}
