import {
  GetObjectCommand,
  RestoreObjectCommand,
  paginateListObjectsV2,
  type HeadObjectCommandOutput,
} from '@aws-sdk/client-s3'
import type { Readable } from 'node:stream'
import type { Clock } from '../../kernel/clock.js'
import { withBody } from '../object-body.js'
import { ObjectColdError, ObjectLockedError, ObjectNotFoundError, refused } from '../object-errors.js'
import { checkedDays, checkedKey, checkedPrefix, daysAfter, isKey } from '../object-key.js'
import type { ObjectHead, ObjectStore, PutOptions, RestoreTier } from '../object-store.js'
import { readThrough } from '../store-answer.js'
import { headObject, type S3Bucket, type S3Encryption } from './s3-bucket.js'
import { s3Client, type S3ClientOptions } from './s3-client.js'
import { copyInPlace } from './s3-copy.js'
import { isConflict, s3Answer, s3Error } from './s3-errors.js'
import { headOf, isArchived, isLocked, readableUntilMark, stateOf, versionOf } from './s3-head.js'
import { upload } from './s3-upload.js'
import { deleteEveryVersion, deleteOlderVersions } from './s3-versions.js'

/** How often a move looks again after somebody changed the object under it. */
const movesMax = 3
const listPageDefault = 1_000

export interface S3StoreOptions extends S3ClientOptions {
  readonly bucket: string
  readonly clock: Clock
  readonly coldClass?: 'DEEP_ARCHIVE' | 'GLACIER' | undefined
  readonly encryption?: S3Encryption | undefined
  /** Smaller than S3's own limits where a test wants many parts of little. */
  readonly sizes?: {
    readonly partBytes?: number
    readonly copyBytesMax?: number
    readonly copyPartBytes?: number
    readonly listPage?: number
  }
}

/**
 * A bucket of Amazon S3 or of a server that speaks like it. Cold is DEEP_ARCHIVE (or GLACIER), by a copy in place; a
 * restored copy ends by itself. A server that has classes but no RestoreObject (radosgw, MinIO) is asked for a copy back
 * into STANDARD that bears in its metadata until when it may be read; the next `moveToCold` moves it back.
 */
export class S3ObjectStore implements ObjectStore {
  readonly restoreTiers: readonly RestoreTier[]
  readonly #bucket: S3Bucket
  readonly #clock: Clock
  readonly #options: S3StoreOptions

  constructor(options: S3StoreOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#bucket = {
      client: s3Client(options),
      name: options.bucket,
      encryption: options.encryption ?? { kind: 'bucket' },
    }
    this.restoreTiers = options.coldClass === 'GLACIER' ? ['EXPEDITED', 'STANDARD', 'BULK'] : ['STANDARD', 'BULK']
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectHead> {
    checkedKey(key)
    if (options.precondition !== 'new') await this.#refuseLocked(key, options.precondition)
    await withBody(body, (watched) => upload(this.#bucket, key, watched, options, this.#options.sizes?.partBytes))
    const found = await this.#mustFind(key)
    if (options.precondition !== 'new') await this.#deleteOlder(key, found)
    return headOf(key, found, this.#clock.now())
  }

  async get(key: string): Promise<AsyncIterable<Uint8Array>> {
    checkedKey(key)
    const failureOf = (error: unknown): unknown => s3Error(error, key)
    try {
      const answer = await this.#bucket.client.send(new GetObjectCommand({ Bucket: this.#bucket.name, Key: key }))
      const body = answer.Body as Readable
      const { objectClass } = stateOf(answer, this.#clock.now())
      if (objectClass === 'WARM' || objectClass === 'RESTORED') return readThrough(body, failureOf)
      // Some servers keep the class and read it all the same. What `head` calls cold is cold.
      body.destroy()
      throw new ObjectColdError(key)
    } catch (error) {
      throw failureOf(error)
    }
  }

  async head(key: string): Promise<ObjectHead | null> {
    const found = await headObject(this.#bucket, checkedKey(key))
    return found === null ? null : headOf(key, found, this.#clock.now())
  }

  async *list(prefix: string): AsyncGenerator<Pick<ObjectHead, 'key' | 'sizeBytes' | 'modifiedAt'>> {
    const { client, name } = this.#bucket
    const pages = paginateListObjectsV2(
      { client, pageSize: this.#options.sizes?.listPage ?? listPageDefault },
      { Bucket: name, Prefix: checkedPrefix(prefix) },
    )
    try {
      for await (const page of pages)
        for (const { Key: key, Size: sizeBytes, LastModified: modifiedAt } of page.Contents ?? [])
          if (key !== undefined && isKey(key))
            yield { key, sizeBytes: sizeBytes ?? 0, modifiedAt: modifiedAt ?? new Date(0) }
    } catch (error) {
      throw s3Error(error, prefix)
    }
  }

  async delete(key: string): Promise<void> {
    await deleteEveryVersion(this.#bucket, checkedKey(key), this.#clock.now())
  }

  async moveToCold(key: string): Promise<ObjectHead> {
    checkedKey(key)
    for (let tries = 1; ; tries++) {
      const found = await this.#mustFind(key)
      const state = stateOf(found, this.#clock.now())
      if (isArchived(found)) {
        // Also after a move whose last step, this one, was not reached.
        await this.#deleteOlder(key, found)
        return headOf(key, found, this.#clock.now())
      }
      if (state.objectClass === 'RESTORED') return headOf(key, found, this.#clock.now())
      if (await this.#copied(key, found, this.#options.coldClass ?? 'DEEP_ARCHIVE', null, tries < movesMax))
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
      if (head.objectClass === 'WARM' || head.objectClass === 'RESTORING') return head
      if (head.restoredUntil !== null && head.restoredUntil >= until) return head
      if (isArchived(found) && (await this.#restored(key, found, days, options.tier))) return this.#mustHead(key)
      if (await this.#copied(key, found, 'STANDARD', until, tries < movesMax)) return this.#mustHead(key)
    }
  }

  /** False where the server has no RestoreObject. */
  async #restored(key: string, found: HeadObjectCommandOutput, days: number, tier: RestoreTier): Promise<boolean> {
    // Intelligent tiering brings an object back for good and takes no days.
    const goesBack = found.StorageClass !== 'INTELLIGENT_TIERING'
    const possible = tier !== 'EXPEDITED' || found.StorageClass === 'GLACIER' ? tier : 'STANDARD'
    try {
      await this.#bucket.client.send(
        new RestoreObjectCommand({
          Bucket: this.#bucket.name,
          Key: key,
          RestoreRequest: { ...(goesBack ? { Days: days } : {}), GlacierJobParameters: { Tier: tierNames[possible] } },
        }),
      )
      return true
    } catch (error) {
      const { name, status } = s3Answer(error)
      if (name === 'RestoreAlreadyInProgress' || name === 'ObjectAlreadyInActiveTierError') return true
      if (status === 501 || name === 'NotImplemented') return false
      throw s3Error(error, key)
    }
  }

  /** Copies it in place; false where it has changed meanwhile and may be looked at again. */
  async #copied(
    key: string,
    found: HeadObjectCommandOutput,
    storageClass: 'STANDARD' | 'GLACIER' | 'DEEP_ARCHIVE',
    readableUntil: Date | null,
    again: boolean,
  ): Promise<boolean> {
    if (isLocked(found, this.#clock.now())) throw new ObjectLockedError(key)
    const { [readableUntilMark]: _, ...kept } = found.Metadata ?? {}
    const metadata = readableUntil === null ? kept : { ...kept, [readableUntilMark]: readableUntil.toISOString() }
    const { copyBytesMax, copyPartBytes: partBytes } = this.#options.sizes ?? {}
    try {
      await copyInPlace(this.#bucket, key, found, { storageClass, metadata }, { copyBytesMax, partBytes })
      await this.#deleteOlder(key, await this.#mustFind(key))
      return true
    } catch (error) {
      if (again && isConflict(error)) return false
      throw s3Error(error, key)
    }
  }

  async #refuseLocked(key: string, precondition: Exclude<PutOptions['precondition'], 'new'>): Promise<void> {
    const found = await headObject(this.#bucket, key)
    if (found === null || versionOf(found) !== precondition.version) throw refused(key, precondition)
    // The lock would keep the version that is to be replaced, and with it what was to be erased.
    if (isLocked(found, this.#clock.now())) throw new ObjectLockedError(key)
  }

  /** The version is asked for: not every server tells which one it has written. */
  async #deleteOlder(key: string, { VersionId: versionId }: HeadObjectCommandOutput): Promise<void> {
    if (versionId !== undefined && versionId !== 'null')
      await deleteOlderVersions(this.#bucket, key, versionId, this.#clock.now())
  }

  async #mustFind(key: string): Promise<HeadObjectCommandOutput> {
    const found = await headObject(this.#bucket, key)
    if (found === null) throw new ObjectNotFoundError(key)
    return found
  }

  async #mustHead(key: string): Promise<ObjectHead> {
    return headOf(key, await this.#mustFind(key), this.#clock.now())
  }
}

const tierNames = { EXPEDITED: 'Expedited', STANDARD: 'Standard', BULK: 'Bulk' } as const
