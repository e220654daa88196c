import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob'
import { createHash, randomUUID } from 'node:crypto'
import { partsOf, verified } from '../body-parts.js'
import { refused } from '../object-errors.js'
import type { PutOptions } from '../object-store.js'
import { unavailable, withDeadline } from '../store-answer.js'
import { azureAnswer, azureError, isConflict } from './azure-errors.js'
import { findBlob, putMark } from './azure-head.js'

const md5Of = (bytes: Buffer): Buffer => createHash('md5').update(bytes).digest()

interface Upload {
  readonly container: ContainerClient
  readonly blob: BlockBlobClient
  readonly key: string
  readonly options: PutOptions
  readonly mark: string
  readonly requestMs: number
}

/**
 * Writes a body in blocks, which are nothing until they are committed, small ones too: the commit throws away what a
 * former try left, which may stand in the way of a plain put. Blocks that nobody commits Azure deletes within a week.
 */
export async function upload(
  container: ContainerClient,
  key: string,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
  limits: { readonly partBytes?: number | undefined; readonly requestMs: number },
): Promise<void> {
  const { requestMs } = limits
  const job: Upload = {
    container,
    blob: container.getBlockBlobClient(key),
    key,
    options,
    mark: randomUUID(),
    requestMs,
  }
  const blocks: string[] = []
  try {
    for await (const part of partsOf(verified(body, key, options.sha256), limits)) {
      // A gigabyte is not sent in vain: what counts is the condition of the commit.
      if (part.number === 1 && !part.last) await refuseEarly(job)
      if (part.bytes.length === 0) break
      const id = Buffer.from(`${job.mark}-${String(part.number).padStart(6, '0')}`).toString('base64')
      await withDeadline(requestMs, (abortSignal) =>
        job.blob.stageBlock(id, part.bytes, part.bytes.length, {
          abortSignal,
          transactionalContentMD5: md5Of(part.bytes),
        }),
      )
      blocks.push(id)
    }
    await settled(job, (abortSignal) => job.blob.commitBlockList(blocks, { abortSignal, ...writtenBy(job) }))
  } catch (error) {
    throw azureError(error, key)
  }
}

const writtenBy = ({ options, mark }: Upload) =>
  ({
    blobHTTPHeaders: { blobContentType: options.contentType },
    metadata: { [putMark]: mark },
    // Said outright: a new blob would take over the tier of the one whose place it takes.
    tier: 'Hot',
    conditions: options.precondition === 'new' ? { ifNoneMatch: '*' } : { ifMatch: options.precondition.version },
  }) as const

async function refuseEarly(job: Upload): Promise<void> {
  const { precondition } = job.options
  const found = await findBlob(job.container, job.key, job.requestMs)
  if (!isMet(precondition, found?.properties.etag)) throw refused(job.key, precondition)
}

const isMet = (precondition: PutOptions['precondition'], etag: string | undefined): boolean =>
  precondition === 'new' ? etag === undefined : etag === precondition.version

/**
 * Runs the request that makes the blob visible. Where its answer was lost and the client sent it again, the second
 * answer speaks of our own blob as of a stranger's: the mark tells.
 */
async function settled(job: Upload, commit: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  try {
    await withDeadline(job.requestMs, commit)
  } catch (error) {
    const answer = azureAnswer(error)
    const conflict = isConflict(error)
    if (!conflict && answer.status !== undefined && answer.status < 500) throw error
    const found = await findBlob(job.container, job.key, job.requestMs).catch(() => undefined)
    if (found === undefined) throw error
    if (found?.properties.metadata?.[putMark] === job.mark) return
    if (!conflict) throw error
    const { precondition } = job.options
    throw isMet(precondition, found?.properties.etag) ? unavailable(answer) : refused(job.key, precondition)
  }
}
