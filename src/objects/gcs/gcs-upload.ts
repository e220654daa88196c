import type { Bucket } from '@google-cloud/storage'
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { partsOf, verified, type BodyPart } from '../body-parts.js'
import { refused } from '../object-errors.js'
import type { PutOptions } from '../object-store.js'
import { unavailable, withDeadline } from '../store-answer.js'
import { bucketError, gcsAnswer, isConflict } from './gcs-errors.js'
import { findObject, generationOf, putMark } from './gcs-head.js'

interface Upload {
  readonly bucket: Bucket
  readonly key: string
  readonly options: PutOptions
  readonly mark: string
  readonly requestMs: number
  readonly partBytes: number | undefined
}

/**
 * Writes a body: whole where it fits one part, by a resumable upload in chunks otherwise; that is nothing until its last
 * chunk, and Google forgets within a week what has none. The client compares CRC32C at the end.
 */
export async function upload(
  bucket: Bucket,
  key: string,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
  limits: { readonly partBytes?: number | undefined; readonly requestMs: number },
): Promise<void> {
  const { requestMs, partBytes } = limits
  const job: Upload = { bucket, key, options, mark: randomUUID(), requestMs, partBytes }
  const parts = partsOf(verified(body, key, options.sha256), limits)
  try {
    const first = (await parts.next()).value as BodyPart
    if (first.last) await settled(job, () => putWhole(job, first.bytes))
    else {
      // A gigabyte is not sent in vain: what counts is the condition of the upload.
      await refuseEarly(job)
      await settled(job, () => putChunks(job, first, parts))
    }
  } catch (error) {
    throw bucketError(error, key)
  } finally {
    await parts.return(undefined)
  }
}

const writtenBy = ({ options, mark, requestMs }: Upload) => ({
  contentType: options.contentType,
  metadata: { metadata: { [putMark]: mark }, storageClass: 'STANDARD' },
  validation: 'crc32c' as const,
  timeout: requestMs,
  preconditionOpts: { ifGenerationMatch: options.precondition === 'new' ? 0 : options.precondition.version },
})

const putWhole = (job: Upload, bytes: Buffer): Promise<void> =>
  // The client tries again by itself, and each try has its own time.
  withDeadline(4 * job.requestMs, () => job.bucket.file(job.key).save(bytes, { ...writtenBy(job), resumable: false }))

const mebibyte = 1024 * 1024

async function putChunks(job: Upload, first: BodyPart, rest: AsyncIterable<BodyPart>): Promise<void> {
  const patience = new UploadPatience(4 * job.requestMs)
  const chunkSize = job.partBytes ?? 16 * mebibyte
  const target = job.bucket.file(job.key).createWriteStream({ ...writtenBy(job), resumable: true, chunkSize })
  async function* bytes(): AsyncGenerator<Buffer> {
    yield* piecesOf(first)
    patience.pause()
    for await (const part of rest) {
      patience.resume()
      yield* piecesOf(part)
      patience.pause()
    }
    patience.resume()
  }
  try {
    await pipeline(Readable.from(bytes(), { objectMode: true, highWaterMark: 1 }), target, { signal: patience.signal })
  } finally {
    patience.pause()
  }
}

const pieceBytes = 64 * 1024

/** The client's chain of streams holds several pieces each, however big they are. */
function* piecesOf({ bytes }: BodyPart): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

/** How long an upload may take over what it has; waiting for the body itself doesn't count. */
class UploadPatience {
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined

  constructor(readonly ms: number) {
    this.resume()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  resume(): void {
    this.pause()
    this.#timer = setTimeout(() => this.#controller.abort(), this.ms)
  }

  pause(): void {
    clearTimeout(this.#timer)
  }
}

async function refuseEarly(job: Upload): Promise<void> {
  const { precondition } = job.options
  const found = await findObject(job.bucket, job.key, job.requestMs)
  if (!isMet(precondition, found === null ? undefined : generationOf(found))) throw refused(job.key, precondition)
}

const isMet = (precondition: PutOptions['precondition'], generation: string | undefined): boolean =>
  precondition === 'new' ? generation === undefined : generation === precondition.version

/**
 * Runs the request that makes the object visible. Where its answer was lost and the client sent it again, the second
 * answer speaks of our own object as of a stranger's: the mark tells.
 */
async function settled(job: Upload, commit: () => Promise<void>): Promise<void> {
  try {
    await commit()
  } catch (error) {
    const answer = gcsAnswer(error)
    const conflict = isConflict(error)
    if (!conflict && answer.status !== undefined && answer.status < 500) throw error
    const found = await findObject(job.bucket, job.key, job.requestMs).catch(() => undefined)
    if (found === undefined) throw error
    if (found?.metadata?.[putMark] === job.mark) return
    if (!conflict) throw error
    const { precondition } = job.options
    const met = isMet(precondition, found === null ? undefined : generationOf(found))
    throw met ? unavailable(answer) : refused(job.key, precondition)
  }
}
