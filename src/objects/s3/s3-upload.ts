import {
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3'
import { createHash, randomUUID } from 'node:crypto'
import { partsOf, verified } from '../body-parts.js'
import { refused } from '../object-errors.js'
import type { PutOptions } from '../object-store.js'
import { unavailable } from '../store-answer.js'
import {
  abortUpload,
  completeUpload,
  encryptionOf,
  headObject,
  type S3Bucket,
  type WriteCondition,
} from './s3-bucket.js'
import { isConflict, s3Answer, s3Error } from './s3-errors.js'
import { putMark, versionOf } from './s3-head.js'

const checksumOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64')

interface Upload {
  readonly bucket: S3Bucket
  readonly key: string
  readonly options: PutOptions
  readonly condition: WriteCondition
  /** In the object's metadata: tells our own object from another one's where an answer was lost. */
  readonly mark: string
}

/**
 * Writes a body: whole where it fits one part, in parts otherwise. Whatever fails, nothing of it is visible and, the bucket willing, nothing of it is stored.
 */
export async function upload(
  bucket: S3Bucket,
  key: string,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
  partBytes?: number,
): Promise<void> {
  const { precondition } = options
  const condition = precondition === 'new' ? ({ IfNoneMatch: '*' } as const) : { IfMatch: precondition.version }
  const job: Upload = { bucket, key, options, condition, mark: randomUUID() }
  const parts: CompletedPart[] = []
  let uploadId: string | undefined
  try {
    for await (const part of partsOf(verified(body, key, options.sha256), { partBytes })) {
      if (part.last && part.number === 1) return await putWhole(job, part.bytes)
      // A gigabyte is not sent in vain: what counts is the condition at the end.
      if (uploadId === undefined) await refuseEarly(job)
      uploadId ??= await beginUpload(job)
      parts.push(await putPart(job, uploadId, part.number, part.bytes))
    }
    // Servers that don't know the condition here (radosgw 16) overwrite: leave them as little time for it as can be.
    await refuseEarly(job)
    await settled(job, () => completeUpload(bucket, key, uploadId!, parts, condition))
  } catch (error) {
    if (uploadId !== undefined) await abortUpload(bucket, key, uploadId)
    throw s3Error(error, key)
  }
}

async function putWhole(job: Upload, bytes: Buffer): Promise<void> {
  const { bucket, key, options, condition, mark } = job
  await settled(job, async () => {
    await bucket.client.send(
      new PutObjectCommand({
        Bucket: bucket.name,
        Key: key,
        Body: bytes,
        ContentLength: bytes.length,
        ContentType: options.contentType,
        ChecksumSHA256: checksumOf(bytes),
        Metadata: { [putMark]: mark },
        ...encryptionOf(bucket),
        ...condition,
      }),
    )
  })
}

async function beginUpload({ bucket, key, options, mark }: Upload): Promise<string> {
  const answer = await bucket.client.send(
    new CreateMultipartUploadCommand({
      Bucket: bucket.name,
      Key: key,
      ContentType: options.contentType,
      ChecksumAlgorithm: 'SHA256',
      Metadata: { [putMark]: mark },
      ...encryptionOf(bucket),
    }),
  )
  return answer.UploadId!
}

async function putPart(
  { bucket, key }: Upload,
  uploadId: string,
  number: number,
  bytes: Buffer,
): Promise<CompletedPart> {
  const checksum = checksumOf(bytes)
  const answer = await bucket.client.send(
    new UploadPartCommand({
      Bucket: bucket.name,
      Key: key,
      UploadId: uploadId,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256: checksum,
    }),
  )
  return { PartNumber: number, ETag: answer.ETag, ChecksumSHA256: checksum }
}

async function refuseEarly({ bucket, key, options: { precondition } }: Upload): Promise<void> {
  const found = await headObject(bucket, key)
  const met = precondition === 'new' ? found === null : found !== null && versionOf(found) === precondition.version
  if (!met) throw refused(key, precondition)
}

/**
 * Runs the request that makes the object visible. Where its answer was lost and the client sent it again, the second
 * answer speaks of our own object as of a stranger's: the mark tells.
 */
async function settled(job: Upload, commit: () => Promise<void>): Promise<void> {
  try {
    await commit()
  } catch (error) {
    const { bucket, key, mark, options } = job
    const answer = s3Answer(error)
    const { status } = answer
    if (status !== undefined && status < 500 && status !== 404 && !isConflict(error)) throw error
    const found = await headObject(bucket, key).catch(() => undefined)
    if (found === undefined) throw error
    if (found?.Metadata?.[putMark] === mark) return
    if (status !== 404 && !isConflict(error)) throw error
    const { precondition } = options
    const met = precondition === 'new' ? found === null : found !== null && versionOf(found) === precondition.version
    throw met ? unavailable(answer) : refused(key, precondition)
  }
}
