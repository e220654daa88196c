import type { ContainerClient } from '@azure/storage-blob'
import type { Readable } from 'node:stream'
import type { Clock } from '../../kernel/clock.js'
import { withBody } from '../object-body.js'
import { ObjectColdError, ObjectNotFoundError } from '../object-errors.js'
import { checkedDays, checkedKey, checkedPrefix, daysAfter, isKey } from '../object-key.js'
import type { ObjectHead, ObjectStore, PutOptions, RestoreTier } from '../object-store.js'
import { eachWithin, readThrough, withDeadline } from '../store-answer.js'
import { patienceOf, type Patience } from './azure-client.js'
import { azureError } from './azure-errors.js'
import { findBlob, headOf, isArchived, readableUntilTag, stateOf, type FoundBlob } from './azure-head.js'
import { upload } from './azure-upload.js'
import { deleteFormerVersions, deleteIfThere } from './azure-versions.js'

const listPageDefault = 1_000

export interface AzureStoreOptions {
  readonly container: ContainerClient
  readonly clock: Clock
  readonly patience?: Partial<Patience> | undefined
  /** Smaller ones where a test wants many parts of little. */
  readonly sizes?: { readonly partBytes?: number; readonly listPage?: number }
}

/**
 * A container of Azure Blob Storage. Cold is the Archive tier. Azure brings a blob back in place and for good (hours
 * later), so we write beside it, in an index tag, until when it may be read: after that it is cold by our own rule, and
 * the next `moveToCold` moves it back.
 */
export class AzureObjectStore implements ObjectStore {
  readonly restoreTiers: readonly RestoreTier[] = ['EXPEDITED', 'STANDARD']
  readonly #container: ContainerClient
  readonly #clock: Clock
  readonly #requestMs: number
  readonly #sizes: NonNullable<AzureStoreOptions['sizes']>

  constructor(options: AzureStoreOptions) {
    this.#container = options.container
    this.#clock = options.clock
    this.#requestMs = patienceOf(options.patience).requestMs
    this.#sizes = options.sizes ?? {}
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectHead> {
    checkedKey(key)
    const limits = { partBytes: this.#sizes.partBytes, requestMs: this.#requestMs }
    await withBody(body, (watched) => upload(this.#container, key, watched, options, limits))
    if (options.precondition === 'new') return this.#mustHead(key)
    return this.#asked(key, async () => {
      const found = await this.#mustFind(key)
      await this.#deleteFormer(key, found)
      await this.#setReadableUntil(key, found, null)
      return this.#mustHead(key)
    })
  }

  async get(key: string): Promise<AsyncIterable<Uint8Array>> {
    checkedKey(key)
    return this.#asked(key, async () => {
      // Azure would read out a blob whose time is up: what `head` calls cold is cold.
      const found = await this.#mustFind(key)
      const { objectClass } = stateOf(found, this.#clock.now())
      if (objectClass === 'COLD' || objectClass === 'RESTORING') throw new ObjectColdError(key)
      const blob = this.#container.getBlobClient(key)
      const answer = await withDeadline(this.#requestMs, (abortSignal) => blob.download(0, undefined, { abortSignal }))
      return readThrough(answer.readableStreamBody as Readable, (error) => azureError(error, key))
    })
  }

  async head(key: string): Promise<ObjectHead | null> {
    const found = await findBlob(this.#container, checkedKey(key), this.#requestMs)
    return found === null ? null : headOf(key, found, this.#clock.now())
  }

  async *list(prefix: string): AsyncGenerator<Pick<ObjectHead, 'key' | 'sizeBytes' | 'modifiedAt'>> {
    const pages = this.#container
      .listBlobsFlat({ prefix: checkedPrefix(prefix) })
      .byPage({ maxPageSize: this.#sizes.listPage ?? listPageDefault })
    try {
      for await (const page of eachWithin(this.#requestMs, pages))
        for (const { name, properties } of page.segment.blobItems)
          if (isKey(name))
            yield { key: name, sizeBytes: properties.contentLength ?? 0, modifiedAt: properties.lastModified }
    } catch (error) {
      throw azureError(error, prefix)
    }
  }

  async delete(key: string): Promise<void> {
    checkedKey(key)
    await this.#asked(key, async () => {
      const found = await findBlob(this.#container, key, this.#requestMs)
      const blob = this.#container.getBlobClient(key)
      if (found !== null)
        await deleteIfThere((abortSignal) => blob.delete({ abortSignal, deleteSnapshots: 'include' }), this.#requestMs)
      // Where versions are kept, the blob itself has become one; and one that is gone may have left some.
      if (found === null || found.properties.versionId !== undefined)
        await deleteFormerVersions(this.#container, key, this.#requestMs)
    })
  }

  async moveToCold(key: string): Promise<ObjectHead> {
    checkedKey(key)
    return this.#asked(key, async () => {
      const found = await this.#mustFind(key)
      const head = headOf(key, found, this.#clock.now())
      if (isArchived(found) || head.objectClass === 'RESTORED') return head
      const blob = this.#container.getBlobClient(key)
      await withDeadline(this.#requestMs, (abortSignal) => blob.setAccessTier('Archive', { abortSignal }))
      await this.#setReadableUntil(key, found, null)
      return this.#mustHead(key)
    })
  }

  async requestRestore(key: string, options: { days: number; tier: RestoreTier }): Promise<ObjectHead> {
    checkedKey(key)
    const days = checkedDays(options.days)
    return this.#asked(key, async () => {
      const found = await this.#mustFind(key)
      const head = headOf(key, found, this.#clock.now())
      if (head.objectClass === 'WARM' || head.objectClass === 'RESTORING') return head
      const expedited = options.tier === 'EXPEDITED'
      // The days begin when the blob is there; Azure doesn't say when that will be, but at most how long it takes.
      const from = isArchived(found) && !expedited ? daysAfter(this.#clock.now(), rehydrationDays) : this.#clock.now()
      const until = daysAfter(from, days)
      if (head.restoredUntil !== null && head.restoredUntil >= until) return head
      // First until when: once the blob is there, it must not look as if it had always been.
      await this.#setReadableUntil(key, found, until)
      const blob = this.#container.getBlobClient(key)
      const rehydratePriority = expedited ? 'High' : 'Standard'
      if (isArchived(found))
        await withDeadline(this.#requestMs, (abortSignal) =>
          blob.setAccessTier('Hot', { abortSignal, rehydratePriority }),
        )
      return this.#mustHead(key)
    })
  }

  async #setReadableUntil(key: string, { tags }: FoundBlob, until: Date | null): Promise<void> {
    const { [readableUntilTag]: before, ...others } = tags
    if (until === null && before === undefined) return
    const after = until === null ? others : { ...others, [readableUntilTag]: until.toISOString() }
    const blob = this.#container.getBlobClient(key)
    await withDeadline(this.#requestMs, (abortSignal) => blob.setTags(after, { abortSignal }))
  }

  async #deleteFormer(key: string, { properties }: FoundBlob): Promise<void> {
    if (properties.versionId !== undefined) await deleteFormerVersions(this.#container, key, this.#requestMs)
  }

  async #mustFind(key: string): Promise<FoundBlob> {
    const found = await findBlob(this.#container, key, this.#requestMs)
    if (found === null) throw new ObjectNotFoundError(key)
    return found
  }

  async #mustHead(key: string): Promise<ObjectHead> {
    return headOf(key, await this.#mustFind(key), this.#clock.now())
  }

  async #asked<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw azureError(error, key)
    }
  }
}

/** At most 15 hours, with standard priority. */
const rehydrationDays = 15 / 24
