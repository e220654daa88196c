import { createHmac, type KeyObject } from 'node:crypto'
import { constants as fsConstants } from 'node:fs'
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.js'
import { DomainError } from '../kernel/domain-error.js'
import { randomBytes } from '../kernel/random.js'
import type { Region } from '../kernel/region.js'
import { KeyCache } from './key-cache.js'
import { derivedKey, newSecretKey, openSecret, sealSecret, secretKey } from './secret-box.js'

export const BUCKET_COUNT = 256
const BUCKETS_CACHED_MAX = 4 * BUCKET_COUNT

/**
 * Where the bucket keys are that wrap a region's subject keys. They are kept out of PostgreSQL because a row that was
 * deleted there survives in heap, WAL and backups; here a key can really be destroyed.
 */
export interface KeyVault {
  /** Which of the region's 256 buckets wraps the subject key of this id (a UUID). */
  bucketOf(region: Region, keyId: string): number
  /** The key of a bucket, made on first use. `REGION_UNAVAILABLE` where the region has no master key here. */
  bucketKey(region: Region, bucket: number): Promise<KeyObject>
  /** Drops a region's unwrapped bucket keys from memory: they may have been replaced. */
  forget(region: Region): void
}

interface RegionKeys {
  readonly wrap: KeyObject
  readonly pick: KeyObject
}

/**
 * Bucket keys in `<directory>/<region>/bucket-<hex>.key`, one file each, so that a single one can be replaced and
 * overwritten. A file holds the key wrapped under the region's master key; it is complete and on disk before the key is
 * handed out, and of several processes that make the same bucket at once one wins and all use its key.
 */
export class DirectoryKeyVault implements KeyVault {
  readonly #directory: string
  readonly #regionKeys: ReadonlyMap<Region, RegionKeys>
  readonly #cache: KeyCache<KeyObject>
  readonly #loading = new Map<string, Promise<KeyObject>>()
  #generation = 0

  constructor(options: {
    readonly directory: string
    readonly masterKeys: ReadonlyMap<Region, KeyObject>
    readonly clock: Clock
  }) {
    this.#directory = options.directory
    this.#regionKeys = new Map(
      [...options.masterKeys].map(([region, key]) => [
        region,
        {
          wrap: derivedKey(key, `hyrelog bucket wrap ${region}`),
          pick: derivedKey(key, `hyrelog bucket pick ${region}`),
        },
      ]),
    )
    this.#cache = new KeyCache(BUCKETS_CACHED_MAX, options.clock)
  }

  bucketOf(region: Region, keyId: string): number {
    return createHmac('sha256', this.#keysOf(region).pick).update(keyId).digest()[0]!
  }

  async bucketKey(region: Region, bucket: number): Promise<KeyObject> {
    const name = `${region}/${bucket}`
    const cached = this.#cache.get(name)
    if (cached !== undefined) return cached
    const under = this.#loading.get(name)
    if (under !== undefined) return under
    const generation = this.#generation
    const loading = this.#loadOrCreate(region, bucket)
      .then((key) => {
        if (generation === this.#generation) this.#cache.set(name, key)
        return key
      })
      .finally(() => {
        if (this.#loading.get(name) === loading) this.#loading.delete(name)
      })
    this.#loading.set(name, loading)
    return loading
  }

  forget(region: Region): void {
    this.#generation++
    const prefix = `${region}/`
    this.#cache.deleteWhere((_, name) => name.startsWith(prefix))
    for (const name of this.#loading.keys()) if (name.startsWith(prefix)) this.#loading.delete(name)
  }

  #keysOf(region: Region): RegionKeys {
    const keys = this.#regionKeys.get(region)
    if (keys !== undefined) return keys
    throw new DomainError('REGION_UNAVAILABLE', `Region ${region} has no master key in this process.`, {
      details: { regions: [region] },
    })
  }

  async #loadOrCreate(region: Region, bucket: number): Promise<KeyObject> {
    const { wrap } = this.#keysOf(region)
    const directory = join(this.#directory, region.toLowerCase())
    const path = join(directory, `bucket-${bucket.toString(16).padStart(2, '0')}.key`)
    const name = `bucket key ${bucket} of region ${region}`
    let wrapped = await readIfThere(path)
    if (wrapped === null) {
      await createOnce(directory, path, sealSecret(wrap, name, newSecretKey().export()))
      wrapped = await readFile(path)
    }
    // Also when another process made the file: it may not have got as far as this, and what is wrapped by the key must
    // not outlive it in a power failure.
    await syncDirectory(directory)
    return secretKey(openSecret(wrap, name, wrapped))
  }
}

export async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Makes the file with this content, whole and synced before it has its name, or leaves the one that is there. */
export async function createOnce(directory: string, path: string, content: Uint8Array): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(8).toString('hex')}.tmp`
  const file = await open(draft, fsConstants.O_WRONLY | fsConstants.O_CREAT | fsConstants.O_EXCL, 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    // link(), unlike rename(), never replaces a file that is there.
    await link(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(draft)
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, fsConstants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
