import { createHmac, type KeyObject } from 'node:crypto'
import { constants as fsConstants } from 'node:fs'
import { link, mkdir, open, readdir, readFile, unlink } from 'node:fs/promises'
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
  /**
   * The key of a bucket in its nth generation, made on first use. `REGION_UNAVAILABLE` where the region has no master key
   * here; throws {@link BucketKeyReplacedError} where there is a newer generation and this one is gone.
   */
  bucketKey(region: Region, bucket: number, generation?: number): Promise<KeyObject>
  /** Destroys every key of a bucket that is older than this generation, which exists. Answers how many there were. */
  destroyOlder(region: Region, bucket: number, generation: number): Promise<number>
  /**
   * The key of this id (a UUID) that wraps keys of what waits for the region elsewhere, made on first use where `make` says
   * so. Throws {@link PendingKeyDestroyedError} where there is none.
   */
  pendingKey(region: Region, id: string, make: boolean): Promise<KeyObject>
  /** Destroys such a key; one that is gone is no error. */
  destroyPendingKey(region: Region, id: string): Promise<void>
  /** Drops a region's unwrapped bucket keys from memory: they may have been replaced. */
  forget(region: Region): void
}

/** The bucket has turned: this generation of its key was destroyed, and what it wrapped is wrapped anew. */
export class BucketKeyReplacedError extends Error {
  override readonly name = 'BucketKeyReplacedError'
}

/** What was wrapped by this key can't be read any more. */
export class PendingKeyDestroyedError extends Error {
  override readonly name = 'PendingKeyDestroyedError'
}

interface RegionKeys {
  readonly wrap: KeyObject
  readonly pick: KeyObject
  readonly pending: KeyObject
}

/**
 * Bucket keys in `<directory>/<region>/bucket-<hex>.key`, one file each, so that a single one can be replaced and
 * overwritten; the nth to take its place is in `bucket-<hex>.<n>.key`. A file holds the key wrapped under the region's master key; it is complete and on disk before the key is
 * handed out, and of several processes that make the same bucket at once one wins and all use its key.
 */
export class DirectoryKeyVault implements KeyVault {
  readonly #directory: string
  readonly #regionKeys: ReadonlyMap<Region, RegionKeys>
  readonly #cache: KeyCache<KeyObject>
  readonly #loading = new Map<string, Promise<KeyObject>>()
  #forgotten = 0

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
          pending: derivedKey(key, `hyrelog pending wrap ${region}`),
        },
      ]),
    )
    this.#cache = new KeyCache(BUCKETS_CACHED_MAX, options.clock)
  }

  bucketOf(region: Region, keyId: string): number {
    return createHmac('sha256', this.#keysOf(region).pick).update(keyId).digest()[0]!
  }

  async bucketKey(region: Region, bucket: number, generation = 0): Promise<KeyObject> {
    const name = `${region}/${bucket}/${generation}`
    const cached = this.#cache.get(name)
    if (cached !== undefined) return cached
    const under = this.#loading.get(name)
    if (under !== undefined) return under
    const forgotten = this.#forgotten
    const loading = this.#loadOrCreate(region, bucket, generation)
      .then((key) => {
        if (forgotten === this.#forgotten) this.#cache.set(name, key)
        return key
      })
      .finally(() => {
        if (this.#loading.get(name) === loading) this.#loading.delete(name)
      })
    this.#loading.set(name, loading)
    return loading
  }

  async destroyOlder(region: Region, bucket: number, generation: number): Promise<number> {
    const directory = this.#directoryOf(region)
    const older = (await generationsIn(directory, bucket)).filter((one) => one < generation)
    for (const one of older) {
      this.#cache.delete(`${region}/${bucket}/${one}`)
      await overwrite(join(directory, fileName(bucket, one)))
    }
    if (older.length > 0) await syncDirectory(directory)
    return older.length
  }

  async pendingKey(region: Region, id: string, make: boolean): Promise<KeyObject> {
    const cacheName = `${region}/pending/${id}`
    const cached = this.#cache.get(cacheName)
    if (cached !== undefined) return cached
    const { pending } = this.#keysOf(region)
    const directory = this.#directoryOf(region)
    const path = join(directory, pendingFileName(id))
    const name = `pending key ${id} of region ${region}`
    let wrapped = await readIfThere(path)
    if (wrapped === null) {
      if (!make) throw new PendingKeyDestroyedError(`The ${name} is gone.`)
      await createOnce(directory, path, sealSecret(pending, name, newSecretKey().export()))
      wrapped = await readFile(path)
    }
    await syncDirectory(directory)
    const key = secretKey(openSecret(pending, name, wrapped))
    this.#cache.set(cacheName, key)
    return key
  }

  async destroyPendingKey(region: Region, id: string): Promise<void> {
    const directory = this.#directoryOf(region)
    this.#cache.delete(`${region}/pending/${id}`)
    await overwrite(join(directory, pendingFileName(id)))
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await syncDirectory(directory)
  }

  forget(region: Region): void {
    this.#forgotten++
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

  #directoryOf(region: Region): string {
    return join(this.#directory, region.toLowerCase())
  }

  async #loadOrCreate(region: Region, bucket: number, generation: number): Promise<KeyObject> {
    const { wrap } = this.#keysOf(region)
    const directory = this.#directoryOf(region)
    const path = join(directory, fileName(bucket, generation))
    const name = `bucket key ${bucket} of region ${region}${generation === 0 ? '' : `, generation ${generation}`}`
    let wrapped = await readIfThere(path)
    if (wrapped === null) {
      // A key is destroyed only after the next one was made. Making it again would look as if nothing had happened.
      if ((await generationsIn(directory, bucket)).some((one) => one > generation))
        throw new BucketKeyReplacedError(`The ${name} has been replaced.`)
      await createOnce(directory, path, sealSecret(wrap, name, newSecretKey().export()))
      wrapped = await readFile(path)
    }
    // Also when another process made the file: it may not have got as far as this, and what is wrapped by the key must
    // not outlive it in a power failure.
    await syncDirectory(directory)
    return secretKey(openSecret(wrap, name, wrapped))
  }
}

const hexOf = (bucket: number): string => bucket.toString(16).padStart(2, '0')
const fileName = (bucket: number, generation: number): string =>
  generation === 0 ? `bucket-${hexOf(bucket)}.key` : `bucket-${hexOf(bucket)}.${generation}.key`

const pendingFileName = (id: string): string => `pending-${id}.key`

/** The generations of a bucket's key that there are files of. */
async function generationsIn(directory: string, bucket: number): Promise<number[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const found = names.map((name) => /^bucket-([0-9a-f]{2})(?:\.(\d+))?\.key$/.exec(name))
  return found.flatMap((match) => (match?.[1] === hexOf(bucket) ? [Number(match[2] ?? 0)] : []))
}

/** Overwrites a file on the disk, then removes it; one that is gone is no error. */
async function overwrite(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+')
    try {
      const { size } = await file.stat()
      await file.write(randomBytes(Math.max(1, size)), 0, size, 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await unlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
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
