import type { Bucket, FileMetadata } from '@google-cloud/storage'
import type { Clock } from '../../kernel/clock.js'
import { withBody } from '../object-body.js'
import { ObjectColdError, ObjectLockedError, ObjectNotFoundError } from '../object-errors.js'
import { checkedDays, checkedKey, checkedPrefix, daysAfter, isKey } from '../object-key.js'
import type { ObjectHead, ObjectStore, PutOptions, RestoreTier } from '../object-store.js'
import { readThrough, withDeadline } from '../store-answer.js'
import { patienceOf, type Patience } from './gcs-client.js'
import { bucketError, gcsError, isConflict } from './gcs-errors.js'
import { findObject, generationOf, headOf, isArchived, isLocked, readableUntilMark, stateOf } from './gcs-head.js'
import { rewriteInPlace } from './gcs-rewrite.js'
import { upload } from './gcs-upload.js'
import { deleteGenerations } from './gcs-versions.js'

const listPageDefault = 1_000
/** How often a move looks again after somebody changed the object under it. */
const movesMax = 3

export interface GcsStoreOptions {
  readonly bucket: Bucket
  readonly clock: Clock
  readonly coldClass?: 'ARCHIVE' | 'COLDLINE' | undefined
  readonly patience?: Partial<Patience> | undefined
  /** Smaller ones where a test wants many parts of little. */
  readonly sizes?: { readonly partBytes?: number; readonly listPage?: number }
}

/**
 * A bucket of Google Cloud Storage. Cold is ARCHIVE (or COLDLINE), by a rewrite in place, and refused by our own rule,
 * as Google itself would read it out. A restore is a rewrite to STANDARD, which bears in its metadata until when it may
 * be read; it is done at once, and the next `moveToCold` after that time moves it back.
 */
export class GcsObjectStore implements ObjectStore {
  readonly restoreTiers: readonly RestoreTier[] = ['STANDARD']
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #options: GcsStoreOptions
  readonly #requestMs: number

  constructor(options: GcsStoreOptions) {
    this.#options = options
    this.#bucket = options.bucket
    this.#clock = options.clock
    const { requestMs, retriesMax } = patienceOf(options.patience)
    this.#requestMs = requestMs * (1 + retriesMax)
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectHead> {
    checkedKey(key)
    const limits = { partBytes: this.#options.sizes?.partBytes, requestMs: this.#requestMs }
    await withBody(body, (watched) => upload(this.#bucket, key, watched, options, limits))
    if (options.precondition !== 'new') await this.#deleteOlder(key)
    return this.#mustHead(key)
  }

  async get(key: string): Promise<AsyncIterable<Uint8Array>> {
    checkedKey(key)
    const found = await this.#mustFind(key)
    const { objectClass } = stateOf(found, this.#clock.now())
    if (objectClass === 'COLD') throw new ObjectColdError(key)
    const file = this.#bucket.file(key, { generation: generationOf(found) })
    return readThrough(file.createReadStream({ validation: 'crc32c' }), (error) => gcsError(error, key))
  }

  async head(key: string): Promise<ObjectHead | null> {
    const found = await findObject(this.#bucket, checkedKey(key), this.#requestMs)
    return found === null ? null : headOf(key, found, this.#clock.now())
  }

  async *list(prefix: string): AsyncGenerator<Pick<ObjectHead, 'key' | 'sizeBytes' | 'modifiedAt'>> {
    const query = { prefix: checkedPrefix(prefix), maxResults: this.#options.sizes?.listPage ?? listPageDefault }
    for (let next: object | null = query; next !== null;) {
      const asked: object = next
      const [files, following] = await withDeadline(this.#requestMs, () =>
        this.#bucket.getFiles({ ...asked, autoPaginate: false }),
      ).catch((error: unknown) => {
        throw bucketError(error, prefix)
      })
      for (const { name, metadata } of files)
        if (isKey(name))
          yield { key: name, sizeBytes: Number(metadata.size ?? 0), modifiedAt: new Date(metadata.timeCreated ?? 0) }
      next = following
    }
  }

  async delete(key: string): Promise<void> {
    checkedKey(key)
    await deleteGenerations(this.#bucket, key, this.#requestMs)
  }

  async moveToCold(key: string): Promise<ObjectHead> {
    checkedKey(key)
    for (let tries = 1; ; tries++) {
      const found = await this.#mustFind(key)
      const head = headOf(key, found, this.#clock.now())
      if (head.objectClass === 'RESTORED') return head
      if (isArchived(found)) {
        // Also after a move whose last step, this one, was not reached.
        await this.#deleteOlder(key)
        return head
      }
      if (await this.#rewritten(key, found, this.#options.coldClass ?? 'ARCHIVE', null, tries < movesMax))
        return this.#mustHead(key)
    }
  }

  async requestRestore(key: string, options: { days: number; tier: RestoreTier }): Promise<ObjectHead> {
    checkedKey(key)
    const days = checkedDays(options.days)
    for (let tries = 1; ; tries++) {
      const found = await this.#mustFind(key)
      const head = headOf(key, found, this.#clock.now())
      const until = daysAfter(this.#clock.now(), days)
      if (head.objectClass === 'WARM' || (head.restoredUntil !== null && head.restoredUntil >= until)) return head
      if (isArchived(found)) {
        if (await this.#rewritten(key, found, 'STANDARD', until, tries < movesMax)) return this.#mustHead(key)
      } else if (await this.#prolonged(key, found, until, tries < movesMax)) return this.#mustHead(key)
    }
  }

  /** False where it has changed meanwhile and may be looked at again. */
  async #rewritten(
    key: string,
    found: FileMetadata,
    storageClass: 'STANDARD' | 'COLDLINE' | 'ARCHIVE',
    readableUntil: Date | null,
    again: boolean,
  ): Promise<boolean> {
    if (isLocked(found, this.#clock.now())) throw new ObjectLockedError(key)
    const kept = Object.entries(found.metadata ?? {}).filter(([name]) => name !== readableUntilMark)
    const marks = readableUntil === null ? kept : [...kept, [readableUntilMark, readableUntil.toISOString()] as const]
    const metadata = Object.fromEntries(marks.map(([name, value]) => [name, String(value)]))
    return this.#unlessChanged(key, again, async () => {
      await rewriteInPlace(this.#bucket, key, found, { storageClass, metadata }, this.#requestMs)
      await this.#deleteOlder(key)
    })
  }

  #prolonged(key: string, found: FileMetadata, until: Date, again: boolean): Promise<boolean> {
    return this.#unlessChanged(key, again, async () => {
      await withDeadline(this.#requestMs, () =>
        this.#bucket
          .file(key)
          .setMetadata(
            { metadata: { [readableUntilMark]: until.toISOString() } },
            { ifGenerationMatch: generationOf(found), ifMetagenerationMatch: String(found.metageneration) },
          ),
      )
    })
  }

  async #unlessChanged(key: string, again: boolean, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      if (again && isConflict(error)) return false
      throw gcsError(error, key)
    }
  }

  async #deleteOlder(key: string): Promise<void> {
    const found = await this.#mustFind(key)
    await deleteGenerations(this.#bucket, key, this.#requestMs, generationOf(found))
  }

  async #mustFind(key: string): Promise<FileMetadata> {
    const found = await findObject(this.#bucket, key, this.#requestMs)
    if (found === null) throw new ObjectNotFoundError(key)
    return found
  }

  async #mustHead(key: string): Promise<ObjectHead> {
    return headOf(key, await this.#mustFind(key), this.#clock.now())
  }
}
