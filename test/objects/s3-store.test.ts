import { describe, expect, it } from 'vitest'
import { ObjectColdError, ObjectLockedError } from '../../src/objects/object-errors.js'
import { S3ObjectStore, type S3StoreOptions } from '../../src/objects/s3/s3-store.js'
import { FakeBucket } from '../harness/servers/s3-fake-bucket.js'
import { S3Fake } from '../harness/servers/s3-fake.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'
import { bodyOf, brokenBody, LongBody, textOf } from './bodies.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const MIB = 1024 * 1024
const hourMs = 3_600_000
/** Amazon's copies end at a midnight: how long one lasts depends on the time of day. */
const morning = new Date('2026-03-10T09:00:00Z')
const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' }

async function begin(versioned: boolean): Promise<Subject> {
  const fake = await S3Fake.start()
  const clock = settableClock(morning)
  const bucket = new FakeBucket(clock, versioned)
  fake.buckets.set('cold', bucket)
  const at = (options: Partial<S3StoreOptions>): S3ObjectStore =>
    new S3ObjectStore({
      bucket: 'cold',
      endpoint: fake.url,
      credentials,
      clock,
      sizes: { partBytes: 2 * MIB, listPage: 3 },
      ...options,
    })
  return {
    store: at({}),
    clock,
    partBytes: 2 * MIB,
    finishRestores: async () => {
      const restores = bucket.allKeys().flatMap((key) => bucket.versions(key).map(({ restore }) => restore))
      const lastMs = Math.max(...restores.map((restore) => restore?.readyAt.getTime() ?? 0))
      clock.advance(Math.max(0, lastMs - clock.now().getTime()))
    },
    server: {
      url: fake.url,
      at: (endpoint) => at({ endpoint }),
      impatientAt: (endpoint) => at({ endpoint, patience: { silenceMs: 300, attemptsMax: 2 } }),
      missing: at({ bucket: 'nobody-made-this' }),
    },
    stop: () => fake.stop(),
  }
}

describe('S3 as documented', () => {
  keepsItsPromises(() => begin(false))
})
describe('S3 with versions', () => {
  keepsItsPromises(() => begin(true), { streamsBig: false })
})

const dayMs = 24 * hourMs
const put = { contentType: 'application/octet-stream', precondition: 'new' } as const

interface Stage {
  readonly fake: S3Fake
  readonly bucket: FakeBucket
  readonly clock: SettableClock
  readonly open: (options?: Partial<S3StoreOptions>) => S3ObjectStore
}

/** A bucket of a test's own. */
async function onStage(act: (stage: Stage) => Promise<void>, versioned = false): Promise<void> {
  const fake = await S3Fake.start()
  const clock = settableClock(morning)
  const bucket = new FakeBucket(clock, versioned)
  fake.buckets.set('cold', bucket)
  const open = (options: Partial<S3StoreOptions> = {}): S3ObjectStore =>
    new S3ObjectStore({ bucket: 'cold', endpoint: fake.url, credentials, clock, sizes: { partBytes: MIB }, ...options })
  try {
    await act({ fake, bucket, clock, open })
  } finally {
    await fake.stop()
  }
}

describe('the archive classes', () => {
  it('takes as long as the tier says, until when Amazon says', () =>
    onStage(async ({ open, clock, bucket }) => {
      const store = open()
      expect(store.restoreTiers).toEqual(['STANDARD', 'BULK'])
      await store.put('a', bodyOf('ice'), put)
      await store.moveToCold('a')
      expect(bucket.current('a')?.storageClass).toBe('DEEP_ARCHIVE')
      expect(await store.requestRestore('a', { days: 2, tier: 'BULK' })).toMatchObject({ objectClass: 'RESTORING' })
      clock.advance(47 * hourMs)
      await expect(store.get('a')).rejects.toThrow(ObjectColdError)
      clock.advance(2 * hourMs)
      const head = await store.head('a')
      expect(head?.objectClass).toBe('RESTORED')
      expect(head?.restoredUntil?.toISOString()).toMatch(/T00:00:00\.000Z$/)
      expect(await textOf(await store.get('a'))).toBe('ice')
    }))

  it('has an expedited tier for GLACIER, whatever this bucket’s own cold class is', () =>
    onStage(async ({ open, clock, bucket }) => {
      const store = open({ coldClass: 'GLACIER' })
      expect(store.restoreTiers).toContain('EXPEDITED')
      await store.put('a', bodyOf('x'), put)
      await store.moveToCold('a')
      expect(bucket.current('a')?.storageClass).toBe('GLACIER')
      await store.requestRestore('a', { days: 1, tier: 'EXPEDITED' })
      clock.advance(hourMs)
      expect((await store.head('a'))?.objectClass).toBe('RESTORED')
    }))

  it('recognises what the bucket’s own rule moved', () =>
    onStage(async ({ open, clock, bucket }) => {
      const store = open()
      await store.put('a', bodyOf('x'), put)
      bucket.transition('a', 'GLACIER')
      expect((await store.head('a'))?.objectClass).toBe('COLD')
      expect((await store.moveToCold('a')).objectClass).toBe('COLD')
      expect(bucket.current('a')?.storageClass).toBe('GLACIER')
      await store.requestRestore('a', { days: 1, tier: 'STANDARD' })
      clock.advance(5 * hourMs)
      expect(await textOf(await store.get('a'))).toBe('x')
      bucket.transition('a', 'STANDARD_IA')
      expect((await store.head('a'))?.objectClass).toBe('WARM')
    }))

  it('copies what is too big for one request in parts', () =>
    onStage(async ({ open, fake, bucket }) => {
      const store = open({ sizes: { partBytes: MIB, copyBytesMax: 2 * MIB, copyPartBytes: MIB } })
      const body = new LongBody(3)
      await store.put('a', body.read(), put)
      const before = bucket.current('a')!
      await store.moveToCold('a')
      const ranges = fake.requests.flatMap(({ request }) => request.headers['x-amz-copy-source-range'] ?? [])
      expect(ranges).toEqual(['bytes=0-1048575', 'bytes=1048576-2097151', 'bytes=2097152-3145727'])
      expect(bucket.current('a')?.storageClass).toBe('DEEP_ARCHIVE')
      expect(bucket.current('a')?.bytes.equals(before.bytes)).toBe(true)
      expect(bucket.current('a')?.headers).toEqual(before.headers)
    }))
})

describe('what is written', () => {
  it('is encrypted as the settings say, after a move too', () =>
    onStage(async ({ open, bucket }) => {
      const algorithm = 'x-amz-server-side-encryption'
      const keyOf = 'x-amz-server-side-encryption-aws-kms-key-id'
      const expected = [
        [{ kind: 'bucket' }, undefined, undefined],
        [{ kind: 'aes256' }, 'AES256', undefined],
        [{ kind: 'kms' }, 'aws:kms', undefined],
        [{ kind: 'kms', keyId: 'arn:aws:kms:eu:1:key/2' }, 'aws:kms', 'arn:aws:kms:eu:1:key/2'],
      ] as const
      for (const [encryption, wanted, keyId] of expected) {
        const store = open({ encryption })
        for (const [key, body] of [
          ['small', bodyOf('x')],
          ['big', new LongBody(3).read()],
        ] as const) {
          await store.put(key, body, put)
          for (const move of [async () => undefined, () => store.moveToCold(key)]) {
            await move()
            const { headers } = bucket.current(key)!
            expect([headers[algorithm], headers[keyOf]]).toEqual([wanted, keyId])
          }
          await store.delete(key)
        }
      }
    }))

  it('leaves no parts where it breaks off, or where the last of them is refused', () =>
    onStage(async ({ open, bucket, fake }) => {
      const store = open()
      await expect(store.put('a', brokenBody(3 * MIB, new Error('gone')), put)).rejects.toThrow('gone')
      fake.faults.push({
        matches: (method, query) => method === 'POST' && query.has('uploadId'),
        kind: { status: 403, code: 'AccessDenied' },
      })
      await expect(store.put('a', new LongBody(3).read(), put)).rejects.toMatchObject({ reason: 'AccessDenied' })
      expect(bucket.uploads.size).toBe(0)
      expect(fake.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(2)
    }))

  it('knows its own object where the answer was lost and the request sent again', () =>
    onStage(async ({ open, fake }) => {
      const store = open()
      const head = await lostAnswer(() => store.put('small', bodyOf('x'), put), 'PUT')
      await lostAnswer(() => store.put('small', bodyOf('y'), { ...put, precondition: head }), 'PUT')
      await lostAnswer(() => store.put('big', new LongBody(3).read(), put), 'POST', 'uploadId')
      expect(await textOf(await store.get('small'))).toBe('y')
      // And not a stranger's.
      await expect(lostAnswer(() => store.put('small', bodyOf('z'), put), 'HEAD')).rejects.toMatchObject({
        code: 'OBJECT_EXISTS',
      })

      async function lostAnswer<T>(work: () => Promise<T>, method: string, parameter?: string): Promise<T> {
        const matches = (given: string, query: URLSearchParams): boolean =>
          given === method && (parameter === undefined || query.has(parameter))
        fake.faults.push({ matches, kind: 'lost-answer' })
        return work()
      }
    }))

  it('waits out what the server says is too much for it', () =>
    onStage(async ({ open, fake }) => {
      const store = open()
      fake.faults.push({ matches: (method) => method === 'PUT', kind: { status: 503, code: 'SlowDown' } })
      await store.put('a', bodyOf('x'), put)
      expect(fake.faults).toHaveLength(0)
    }))
})

describe('Object Lock', () => {
  it('neither deletes, replaces nor moves what is locked (OBJECT_LOCKED), until it ends', () =>
    onStage(async ({ open, bucket, clock }) => {
      bucket.retentionDays = 1
      const store = open()
      const head = await store.put('a', bodyOf('kept'), put)
      await expect(store.delete('a')).rejects.toThrow(ObjectLockedError)
      await expect(store.put('a', bodyOf('x'), { ...put, precondition: head })).rejects.toThrow(ObjectLockedError)
      await expect(store.moveToCold('a')).rejects.toThrow(ObjectLockedError)
      clock.advance(2 * dayMs)
      bucket.versions('a')[0]!.legalHold = true
      await expect(store.delete('a')).rejects.toThrow(ObjectLockedError)
      expect(await textOf(await store.get('a'))).toBe('kept')
      bucket.versions('a')[0]!.legalHold = false
      await store.delete('a')
      expect(bucket.allKeys()).toEqual([])
    }, true))

  it('tells a lock from a missing permission', () =>
    onStage(async ({ open, fake }) => {
      const store = open()
      await store.put('a', bodyOf('x'), put)
      fake.faults.push({ matches: (method) => method === 'DELETE', kind: { status: 403, code: 'AccessDenied' } })
      await expect(store.delete('a')).rejects.toMatchObject({ reason: 'AccessDenied' })
    }))
})

describe('versions', () => {
  it('leaves none of what was replaced, moved or deleted, and those of others alone', () =>
    onStage(async ({ open, bucket }) => {
      const store = open()
      const head = await store.put('a', bodyOf('with a name'), put)
      await store.put('ab', bodyOf('another'), put)
      await store.put('a', bodyOf('without'), { ...put, precondition: head })
      expect(bucket.versions('a').map(({ bytes }) => bytes.toString())).toEqual(['without'])
      await store.moveToCold('a')
      expect(bucket.versions('a').map(({ storageClass }) => storageClass)).toEqual(['DEEP_ARCHIVE'])
      await store.delete('a')
      expect(bucket.versions('a')).toEqual([])
      expect(bucket.allKeys()).toEqual(['ab'])
    }, true))
})
