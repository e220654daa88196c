import { describe, expect, it } from 'vitest'
import { gcsBucket, type Patience } from '../../src/objects/gcs/gcs-client.js'
import { GcsObjectStore } from '../../src/objects/gcs/gcs-store.js'
import { ObjectLockedError } from '../../src/objects/object-errors.js'
import { FakeGcsBucket, GcsFake } from '../harness/servers/gcs-fake.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'
import { bodyOf, LongBody, textOf } from './bodies.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const MIB = 1024 * 1024
const partBytes = 2 * MIB

async function begin(versioned: boolean): Promise<Subject> {
  const fake = await GcsFake.start()
  const clock = settableClock()
  fake.buckets.set('cold', new FakeGcsBucket(versioned))
  const at = (endpoint: string, bucket = 'cold', patience: Partial<Patience> = {}): GcsObjectStore =>
    new GcsObjectStore({
      bucket: gcsBucket({ bucket, endpoint, patience }),
      clock,
      patience,
      sizes: { partBytes, listPage: 3 },
    })
  return {
    store: at(fake.url),
    clock,
    partBytes,
    finishRestores: async () => undefined,
    server: {
      url: fake.url,
      at: (url) => at(url),
      impatientAt: (url) => at(url, 'cold', { requestMs: 300, retriesMax: 1 }),
      missing: at(fake.url, 'nobody-made-this'),
    },
    stop: () => fake.stop(),
  }
}

describe('Google Cloud Storage', () => {
  keepsItsPromises(() => begin(false))
})
describe('Google Cloud Storage with generations', () => {
  keepsItsPromises(() => begin(true), { streamsBig: false })
})

const dayMs = 86_400_000
const put = { contentType: 'application/octet-stream', precondition: 'new' } as const

interface Stage {
  readonly fake: GcsFake
  readonly bucket: FakeGcsBucket
  readonly clock: SettableClock
  readonly store: GcsObjectStore
}

/** A bucket of a test's own. */
async function onStage(
  act: (stage: Stage) => Promise<void>,
  options: { versioned?: boolean; coldClass?: 'COLDLINE' } = {},
): Promise<void> {
  const fake = await GcsFake.start()
  const clock = settableClock()
  const bucket = new FakeGcsBucket(options.versioned)
  fake.buckets.set('cold', bucket)
  const client = gcsBucket({ bucket: 'cold', endpoint: fake.url })
  const { coldClass } = options
  try {
    await act({
      fake,
      bucket,
      clock,
      store: new GcsObjectStore({ bucket: client, clock, coldClass, sizes: { partBytes } }),
    })
  } finally {
    await fake.stop()
  }
}

describe('what only Google does', () => {
  it('rewrites into the class that is set, a big one in several calls, and back for a restore', async () => {
    for (const [coldClass, wanted] of [[undefined, 'ARCHIVE'] as const, ['COLDLINE', 'COLDLINE'] as const])
      await onStage(
        async ({ fake, bucket, store }) => {
          fake.rewriteCalls = 3
          await store.put('a', bodyOf('x'), put)
          const before = bucket.find('a', null)
          await store.moveToCold('a')
          const { storageClass, contentType, metadata } = bucket.find('a', null)
          expect(storageClass).toBe(wanted)
          expect({ contentType, metadata }).toEqual({ contentType: before.contentType, metadata: before.metadata })
          const restored = await store.requestRestore('a', { days: 2, tier: 'STANDARD' })
          expect(restored.objectClass).toBe('RESTORED')
          expect(bucket.find('a', null).storageClass).toBe('STANDARD')
        },
        coldClass === undefined ? {} : { coldClass },
      )
  })

  it('moves an object whose time is up back', () =>
    onStage(async ({ bucket, store, clock }) => {
      await store.put('a', bodyOf('x'), put)
      await store.moveToCold('a')
      await store.requestRestore('a', { days: 1, tier: 'STANDARD' })
      clock.advance(2 * dayMs)
      expect((await store.head('a'))?.objectClass).toBe('COLD')
      expect(bucket.find('a', null).storageClass).toBe('STANDARD')
      await store.moveToCold('a')
      expect(bucket.find('a', null)).toMatchObject({ storageClass: 'ARCHIVE' })
      expect(Object.keys(bucket.find('a', null).metadata)).toEqual(['hyrelogput'])
    }))

  it('neither deletes, replaces nor moves under a retention policy or a hold (OBJECT_LOCKED)', () =>
    onStage(async ({ bucket, store }) => {
      bucket.retainUntil = new Date(Date.now() + dayMs)
      const head = await store.put('a', bodyOf('kept'), put)
      await expect(store.delete('a')).rejects.toThrow(ObjectLockedError)
      await expect(store.put('a', bodyOf('x'), { ...put, precondition: head })).rejects.toThrow(ObjectLockedError)
      await expect(store.moveToCold('a')).rejects.toThrow(ObjectLockedError)
      bucket.retainUntil = undefined
      await store.put('b', bodyOf('held'), put)
      bucket.find('b', null).temporaryHold = true
      await expect(store.delete('b')).rejects.toThrow(ObjectLockedError)
      expect(await textOf(await store.get('a'))).toBe('kept')
    }))

  it('knows its own object where the answer was lost and the request sent again', () =>
    onStage(async ({ fake, store }) => {
      fake.faults.push({
        matches: (method, url) => method === 'POST' && url.pathname.startsWith('/upload/'),
        kind: 'lost-answer',
      })
      await store.put('small', bodyOf('x'), put)
      fake.faults.push({
        matches: (method, url) => method === 'PUT' && url.searchParams.has('upload_id'),
        kind: 'lost-answer',
      })
      await store.put('big', new LongBody(5).read(), put)
      expect(fake.faults).toHaveLength(0)
      expect(await textOf(await store.get('small'))).toBe('x')
      expect((await store.head('big'))?.sizeBytes).toBe(5 * MIB)
    }))

  it('leaves no former generation of what was replaced, moved or deleted', () =>
    onStage(
      async ({ bucket, store }) => {
        const left = (): string[] =>
          [...bucket.objects].flatMap(([name, all]) => all.map(({ bytes }) => `${name} ${bytes.toString()}`))
        const head = await store.put('a', bodyOf('with a name'), put)
        await store.put('ab', bodyOf('another'), put)
        await store.put('a', bodyOf('without'), { ...put, precondition: head })
        expect(left()).toEqual(['a without', 'ab another'])
        await store.moveToCold('a')
        expect(left()).toEqual(['a without', 'ab another'])
        await store.delete('a')
        expect(left()).toEqual(['ab another'])
      },
      { versioned: true },
    ))
})
