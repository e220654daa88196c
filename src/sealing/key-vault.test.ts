import { link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newUuid } from '../kernel/ids.js'
import { BUCKET_COUNT, BucketKeyReplacedError, DirectoryKeyVault, PendingKeyDestroyedError } from './key-vault.js'
import { KEY_AGE_MS_MAX } from './key-cache.js'
import { newSecretKey, SealBrokenError } from './secret-box.js'

let directory: string
let now = new Date('2026-03-01T00:00:00Z')
const clock = { now: () => now }
const masterKeys = new Map([
  ['EU', newSecretKey()],
  ['US', newSecretKey()],
] as const)
const vault = (): DirectoryKeyVault => new DirectoryKeyVault({ directory, masterKeys, clock })

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vault-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

describe('DirectoryKeyVault', () => {
  it('makes a bucket key once: the same for every process, another for every bucket and region', async () => {
    const first = await vault().bucketKey('EU', 7)
    expect((await vault().bucketKey('EU', 7)).equals(first)).toBe(true)
    expect((await vault().bucketKey('EU', 8)).equals(first)).toBe(false)
    expect((await vault().bucketKey('US', 7)).equals(first)).toBe(false)
  })

  it('has one winner among many that make a bucket at once', async () => {
    const keys = await Promise.all(Array.from({ length: 40 }, () => vault().bucketKey('EU', 3)))
    expect(keys.every((key) => key.equals(keys[0]!))).toBe(true)
    expect(await readdir(join(directory, 'eu'))).toEqual(['bucket-03.key'])
  })

  it('makes a pending key once, and destroys it for every process: it is not made again unasked', async () => {
    const id = newUuid()
    const first = await vault().pendingKey('EU', id, true)
    expect((await vault().pendingKey('EU', id, false)).equals(first)).toBe(true)
    const path = join(directory, 'eu', `pending-${id}.key`)
    // A second name shows what becomes of the file's bytes.
    await link(path, join(directory, 'kept'))
    const before = await readFile(path)
    await vault().destroyPendingKey('EU', id)
    expect((await readFile(join(directory, 'kept'))).equals(before)).toBe(false)
    await expect(vault().pendingKey('EU', id, false)).rejects.toThrow(PendingKeyDestroyedError)
    await vault().destroyPendingKey('EU', id)
  })

  it('keeps the key wrapped, in a file for its owner alone', async () => {
    const key = await vault().bucketKey('EU', 255)
    const path = join(directory, 'eu', 'bucket-ff.key')
    expect((await readFile(path)).includes(key.export())).toBe(false)
    expect((await stat(path)).mode & 0o077).toBe(0)
    expect((await stat(join(directory, 'eu'))).mode & 0o077).toBe(0)
  })

  it('refuses a file of another bucket, another master key or altered bytes, and never replaces it', async () => {
    await vault().bucketKey('EU', 1)
    await vault().bucketKey('EU', 2)
    const path = join(directory, 'eu', 'bucket-01.key')
    const other = await readFile(join(directory, 'eu', 'bucket-02.key'))
    await writeFile(path, other)
    await expect(vault().bucketKey('EU', 1)).rejects.toThrow(SealBrokenError)
    const stranger = new DirectoryKeyVault({ directory, masterKeys: new Map([['EU', newSecretKey()]]), clock })
    await expect(stranger.bucketKey('EU', 2)).rejects.toThrow(SealBrokenError)
    await writeFile(path, '')
    await expect(vault().bucketKey('EU', 1)).rejects.toThrow(SealBrokenError)
    expect(await readFile(path)).toHaveLength(0)
  })

  it('forgets an unwrapped key after ten minutes, or when told', async () => {
    const one = vault()
    const old = await one.bucketKey('EU', 9)
    const path = join(directory, 'eu', 'bucket-09.key')
    await rm(path)
    const key = await vault().bucketKey('EU', 9)
    expect((await one.bucketKey('EU', 9)).equals(old)).toBe(true)
    now = new Date(now.getTime() + KEY_AGE_MS_MAX + 1)
    expect((await one.bucketKey('EU', 9)).equals(key)).toBe(true)
    await rm(path)
    const next = await vault().bucketKey('EU', 9)
    one.forget('EU')
    expect((await one.bucketKey('EU', 9)).equals(next)).toBe(true)
  })

  it('replaces a bucket key for good: the old one is overwritten, and made again by nobody', async () => {
    const [one, stale] = [vault(), vault()]
    const old = await one.bucketKey('EU', 4)
    const path = join(directory, 'eu', 'bucket-04.key')
    // Another name of the same file: what it says after it was removed.
    await link(path, join(directory, 'witness'))
    const before = await readFile(path)
    const next = await one.bucketKey('EU', 4, 1)
    expect(next.equals(old)).toBe(false)
    expect(await one.destroyOlder('EU', 4, 1)).toBe(1)
    expect(await readdir(join(directory, 'eu'))).toEqual(['bucket-04.1.key'])
    expect((await readFile(join(directory, 'witness'))).equals(before)).toBe(false)
    await expect(stale.bucketKey('EU', 4)).rejects.toThrow(BucketKeyReplacedError)
    await expect(one.bucketKey('EU', 4)).rejects.toThrow(BucketKeyReplacedError)
    expect((await stale.bucketKey('EU', 4, 1)).equals(next)).toBe(true)
    expect(await one.destroyOlder('EU', 4, 1)).toBe(0)
  })

  it('says which region has no master key here', async () => {
    await expect(vault().bucketKey('APAC', 0)).rejects.toMatchObject({
      code: 'REGION_UNAVAILABLE',
      details: { regions: ['APAC'] },
    })
  })

  it('spreads key ids over all buckets, the same way in every process', () => {
    const [one, two] = [vault(), vault()]
    const ids = Array.from({ length: 4_000 }, () => newUuid())
    const buckets = ids.map((id) => one.bucketOf('EU', id))
    expect(buckets).toEqual(ids.map((id) => two.bucketOf('EU', id)))
    expect(new Set(buckets).size).toBe(BUCKET_COUNT)
    expect(buckets).not.toEqual(ids.map((id) => one.bucketOf('US', id)))
  })
})
