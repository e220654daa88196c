import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../src/objects/object-store.js'
import type { ObjectErrorCode, ObjectStoreError } from '../../src/objects/object-errors.js'
import type { SettableClock } from '../harness/settable-clock.js'
import { TcpProxy } from '../harness/tcp-proxy.js'
import { bodyOf, brokenBody, bytesOf, LongBody, sha256Of, textOf } from './bodies.js'

const MIB = 1024 * 1024
const dayMs = 86_400_000

/** A store to hold to its promises. */
export interface Subject {
  readonly store: ObjectStore
  readonly clock: SettableClock
  /** As little as this many bytes go in parts. */
  readonly partBytes: number
  /** Lets every restore under way come to its end. */
  readonly finishRestores: () => Promise<void>
  /** Where the store is a server's. */
  readonly server?: {
    readonly url: string
    /** The same bucket by way of another address. */
    readonly at: (url: string) => ObjectStore | Promise<ObjectStore>
    /** The same, but gives up within a second or two. */
    readonly impatientAt: (url: string) => ObjectStore | Promise<ObjectStore>
    /** A bucket that nobody made. */
    readonly missing: ObjectStore
  }
  /** Where it isn't: how many bytes of a body on its way have been written. */
  readonly writtenBytes?: () => number
  readonly stop: () => Promise<void>
}

export interface Expectations {
  /** False where a server takes a multipart upload's condition for nothing. */
  readonly refusesLateParts?: boolean
  /** False for a folder. */
  readonly isServer?: boolean
  /** False where another run of the same code streams the big body. */
  readonly streamsBig?: boolean
}

const put = { contentType: 'application/octet-stream', precondition: 'new' } as const

/** What comes of it: the code of its refusal, or `done`. */
const outcome = (work: Promise<unknown>): Promise<ObjectErrorCode | 'done'> =>
  work.then(
    () => 'done' as const,
    (error: unknown) => {
      if (error instanceof Error && 'code' in error) return (error as ObjectStoreError).code
      throw error
    },
  )

/** Every store keeps these promises; what one can't is said by its expectations. */
export function keepsItsPromises(begin: () => Promise<Subject>, expectations: Expectations = {}): void {
  let subject: Subject
  let store: ObjectStore
  let counter = 0
  /** A folder of one test's own. */
  const folder = (): string => `t${++counter}`

  beforeAll(async () => {
    subject = await begin()
    store = subject.store
  }, 120_000)
  afterAll(() => subject?.stop())

  const coldObject = async (text = 'cold'): Promise<string> => {
    const key = `${folder()}/cold.txt`
    await store.put(key, bodyOf(text), put)
    await store.moveToCold(key)
    return key
  }
  const restored = async (key: string, days: number): Promise<void> => {
    await store.requestRestore(key, { days, tier: 'STANDARD' })
    await subject.finishRestores()
  }

  describe('put and get', () => {
    it('reads out what was put in, and knows its size', async () => {
      const key = `${folder()}/a=1/b_2.x-3`
      const head = await store.put(key, bodyOf('one ', 'two'), { ...put, sha256: sha256Of(Buffer.from('one two')) })
      expect(head).toMatchObject({ key, sizeBytes: 7, objectClass: 'WARM', restoredUntil: null })
      expect(await store.head(key)).toEqual(head)
      expect(await textOf(await store.get(key))).toBe('one two')
    })

    it('takes an empty body', async () => {
      const key = `${folder()}/empty`
      expect((await store.put(key, bodyOf(), put)).sizeBytes).toBe(0)
      expect(await textOf(await store.get(key))).toBe('')
    })

    it('says so where nothing is', async () => {
      const key = `${folder()}/nothing`
      expect(await store.head(key)).toBeNull()
      expect(await outcome(store.get(key))).toBe('OBJECT_NOT_FOUND')
      expect(await outcome(store.moveToCold(key))).toBe('OBJECT_NOT_FOUND')
      expect(await outcome(store.requestRestore(key, { days: 1, tier: 'STANDARD' }))).toBe('OBJECT_NOT_FOUND')
    })

    it('refuses keys that could lead elsewhere', async () => {
      for (const key of ['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/./b', 'a\\b', 'a b', 'ä', 'a\0b', 'a?b', 'a%2fb'])
        await expect((async () => store.put(key, bodyOf('x'), put))(), JSON.stringify(key)).rejects.toThrow(TypeError)
    })
  })

  describe('conditions', () => {
    it('refuses a key that is taken and leaves what is there (OBJECT_EXISTS)', async () => {
      const key = `${folder()}/taken`
      await store.put(key, bodyOf('first'), put)
      expect(await outcome(store.put(key, bodyOf('second'), put))).toBe('OBJECT_EXISTS')
      expect(await textOf(await store.get(key))).toBe('first')
    })

    it('refuses a key that is taken to a body of many parts', async () => {
      const key = `${folder()}/taken`
      await store.put(key, bodyOf('first'), put)
      const body = new LongBody(Math.ceil((2 * subject.partBytes) / MIB) + 1)
      expect(await outcome(store.put(key, body.read(), put))).toBe('OBJECT_EXISTS')
      expect(await textOf(await store.get(key))).toBe('first')
    })

    it('lets one of several writers of a new key win', async () => {
      const key = `${folder()}/raced`
      const texts = ['a', 'b', 'c', 'd', 'e', 'f']
      const outcomes = await Promise.all(texts.map((text) => outcome(store.put(key, bodyOf(text), put))))
      expect(outcomes.filter((one) => one === 'done')).toHaveLength(1)
      expect(outcomes.filter((one) => one === 'OBJECT_EXISTS')).toHaveLength(texts.length - 1)
      expect(await textOf(await store.get(key))).toBe(texts[outcomes.indexOf('done')])
    })

    it.skipIf(expectations.refusesLateParts === false)('lets one of two writers of many parts win', async () => {
      const key = `${folder()}/raced`
      const bodies = [3, 4].map((more) => new LongBody(Math.ceil((2 * subject.partBytes) / MIB) + more))
      const outcomes = await Promise.all(bodies.map((body) => outcome(store.put(key, body.read(), put))))
      expect([...outcomes].sort()).toEqual(['OBJECT_EXISTS', 'done'])
      const winner = bodies[outcomes.indexOf('done')]!
      expect((await store.head(key))?.sizeBytes).toBe(winner.producedBytes)
    })

    it('replaces the version that is named and no other (OBJECT_CHANGED)', async () => {
      const key = `${folder()}/versions`
      const first = await store.put(key, bodyOf('first'), put)
      const second = await store.put(key, bodyOf('second'), { ...put, precondition: first })
      expect(second.version).not.toBe(first.version)
      expect(await outcome(store.put(key, bodyOf('third'), { ...put, precondition: first }))).toBe('OBJECT_CHANGED')
      expect(await textOf(await store.get(key))).toBe('second')
      await store.delete(key)
      expect(await outcome(store.put(key, bodyOf('third'), { ...put, precondition: second }))).toBe('OBJECT_CHANGED')
      expect(await store.head(key)).toBeNull()
    })

    it('lets one of several writers over the same version win', async () => {
      const key = `${folder()}/raced`
      const first = await store.put(key, bodyOf('first'), put)
      const outcomes = await Promise.all(
        ['a', 'b', 'c', 'd'].map((text) => outcome(store.put(key, bodyOf(text), { ...put, precondition: first }))),
      )
      expect([...outcomes].sort()).toEqual(['OBJECT_CHANGED', 'OBJECT_CHANGED', 'OBJECT_CHANGED', 'done'])
    })
  })

  describe('nothing half-written', () => {
    it('refuses other bytes than announced (OBJECT_DIGEST_MISMATCH), of one part or many', async () => {
      for (const mebibytes of [1, Math.ceil((2 * subject.partBytes) / MIB) + 1]) {
        const key = `${folder()}/wrong`
        const options = { ...put, sha256: sha256Of(Buffer.from('other')) }
        expect(await outcome(store.put(key, new LongBody(mebibytes).read(), options))).toBe('OBJECT_DIGEST_MISMATCH')
        expect(await store.head(key)).toBeNull()
      }
    })

    it('leaves no trace of a body that breaks off, and says what it said', async () => {
      const failure = new Error('the database went away')
      for (const bytes of [10, 2 * subject.partBytes + 1]) {
        const key = `${folder()}/broken`
        await expect(store.put(key, brokenBody(bytes, failure), put)).rejects.toBe(failure)
        expect(await store.head(key)).toBeNull()
        const first = await store.put(key, bodyOf('first'), put)
        await expect(store.put(key, brokenBody(bytes, failure), { ...put, precondition: first })).rejects.toBe(failure)
        expect(await textOf(await store.get(key))).toBe('first')
      }
    })

    it.skipIf(expectations.streamsBig === false)('streams a big body without holding it', async () => {
      const key = `${folder()}/big`
      const through = subject.server === undefined ? undefined : await TcpProxy.before(subject.server.url)
      try {
        const target = through === undefined ? store : await subject.server!.at(through.urlFor(subject.server!.url))
        const body = new LongBody(80, through === undefined ? subject.writtenBytes : () => through.receivedBytes)
        const head = await target.put(key, body.read(), put)
        expect(head.sizeBytes).toBe(80 * MIB)
        // A part on its way, the next one gathered, and what sockets hold: never the body.
        expect(body.peakBytes).toBeLessThan(Math.max(4 * subject.partBytes, 24 * MIB))
        const hash = createHash('sha256')
        for await (const chunk of await store.get(key)) hash.update(chunk)
        expect(hash.digest('hex')).toBe(body.sha256)
      } finally {
        await through?.close()
      }
    })
  })

  describe('list and delete', () => {
    it('lists what begins with a prefix, in the order of the keys, page after page', async () => {
      const root = folder()
      const names = ['a', 'a-b', 'a.b', 'a0/1', 'a0/2', 'ab/c/d', 'b/1', 'c']
      for (const name of [...names].reverse()) await store.put(`${root}/${name}`, bodyOf(name), put)
      await store.moveToCold(`${root}/a.b`)
      const listed = async (prefix: string): Promise<string[]> => {
        const keys: string[] = []
        for await (const { key, sizeBytes, modifiedAt } of store.list(`${root}/${prefix}`)) {
          const name = key.slice(root.length + 1)
          expect(sizeBytes).toBe(name.length)
          expect(Math.abs(modifiedAt.getTime() - Date.now())).toBeLessThan(3 * dayMs * 400)
          keys.push(name)
        }
        return keys
      }
      expect(await listed('')).toEqual(names)
      expect(await listed('a0')).toEqual(['a0/1', 'a0/2'])
      expect(await listed('a0/')).toEqual(['a0/1', 'a0/2'])
      expect(await listed('nothing')).toEqual([])
    })

    it('deletes what is there and what isn’t', async () => {
      const key = `${folder()}/gone`
      await store.put(key, bodyOf('x'), put)
      await store.delete(key)
      await store.delete(key)
      expect(await store.head(key)).toBeNull()
      expect(await outcome(store.get(key))).toBe('OBJECT_NOT_FOUND')
      await store.put(key, bodyOf('again'), put)
      expect(await textOf(await store.get(key))).toBe('again')
    })

    it('deletes what is in cold storage', async () => {
      const key = await coldObject()
      await store.delete(key)
      expect(await store.head(key)).toBeNull()
      expect((await store.put(key, bodyOf('new'), put)).objectClass).toBe('WARM')
    })
  })

  describe('cold storage', () => {
    it('refuses to read a cold object (OBJECT_COLD), and moves twice as once', async () => {
      const key = await coldObject()
      expect(await store.head(key)).toMatchObject({ objectClass: 'COLD', restoredUntil: null, sizeBytes: 4 })
      expect(await outcome(store.get(key))).toBe('OBJECT_COLD')
      expect((await store.moveToCold(key)).objectClass).toBe('COLD')
      expect(await outcome(store.put(key, bodyOf('x'), put))).toBe('OBJECT_EXISTS')
    })

    it('restores for so many days, after which it is cold by itself', async () => {
      const key = await coldObject('from the ice')
      const asked = await store.requestRestore(key, { days: 3, tier: 'STANDARD' })
      expect(['RESTORING', 'RESTORED']).toContain(asked.objectClass)
      const early = asked.objectClass === 'RESTORING' ? await outcome(store.get(key)) : 'OBJECT_COLD'
      expect(early).toBe('OBJECT_COLD')
      await subject.finishRestores()
      const done = (await store.head(key))!
      expect(done.objectClass).toBe('RESTORED')
      expect(done.restoredUntil!.getTime()).toBeGreaterThan(subject.clock.now().getTime() + 2 * dayMs)
      expect(done.restoredUntil!.getTime()).toBeLessThan(subject.clock.now().getTime() + 5 * dayMs)
      expect(await textOf(await store.get(key))).toBe('from the ice')
      expect((await store.moveToCold(key)).objectClass).toBe('RESTORED')
      subject.clock.advance(5 * dayMs)
      expect(await store.head(key)).toMatchObject({ objectClass: 'COLD', restoredUntil: null })
      expect(await outcome(store.get(key))).toBe('OBJECT_COLD')
      expect((await store.moveToCold(key)).objectClass).toBe('COLD')
      await restored(key, 1)
      expect(await textOf(await store.get(key))).toBe('from the ice')
    })

    it('joins a restore under way, prolongs a copy and shortens none', async () => {
      const key = await coldObject()
      const first = await store.requestRestore(key, { days: 2, tier: 'STANDARD' })
      expect((await store.requestRestore(key, { days: 2, tier: 'STANDARD' })).objectClass).toBe(first.objectClass)
      await subject.finishRestores()
      const two = (await store.head(key))!.restoredUntil!
      const ten = (await store.requestRestore(key, { days: 10, tier: 'STANDARD' })).restoredUntil!
      expect(ten.getTime()).toBeGreaterThan(two.getTime() + 6 * dayMs)
      expect((await store.requestRestore(key, { days: 1, tier: 'STANDARD' })).restoredUntil).toEqual(ten)
    })

    it('needs no restore of what is warm', async () => {
      const key = `${folder()}/warm`
      const head = await store.put(key, bodyOf('x'), put)
      expect(await store.requestRestore(key, { days: 1, tier: 'STANDARD' })).toEqual(head)
    })

    it('takes each of its tiers, and one that it doesn’t have for STANDARD', async () => {
      for (const tier of new Set([...store.restoreTiers, 'EXPEDITED', 'BULK'] as const)) {
        const key = await coldObject()
        await store.requestRestore(key, { days: 1, tier })
        await subject.finishRestores()
        expect((await store.head(key))?.objectClass, tier).toBe('RESTORED')
      }
    })

    it('replaces a restored object, which is warm then and can go back', async () => {
      const key = await coldObject('with a name')
      await restored(key, 2)
      const before = (await store.head(key))!
      const after = await store.put(key, bodyOf('without'), { ...put, precondition: before })
      expect(after).toMatchObject({ objectClass: 'WARM', restoredUntil: null })
      expect((await store.moveToCold(key)).objectClass).toBe('COLD')
      await restored(key, 1)
      expect(await bytesOf(await store.get(key))).toEqual(Buffer.from('without'))
    })
  })

  describe.skipIf(expectations.isServer === false)('a store that can’t be reached', () => {
    it('says OBJECT_STORE_UNAVAILABLE, without its address', async () => {
      const closed = createServer().listen(0, '127.0.0.1')
      await new Promise((resolve) => closed.once('listening', resolve))
      const { port } = closed.address() as { port: number }
      await new Promise((resolve) => closed.close(resolve))
      const url = new URL(subject.server!.url)
      url.port = String(port)
      const closedStore = await subject.server!.impatientAt(url.href.replace(/\/$/, ''))
      expect(await refusals(closedStore, String(port))).toEqual(unavailable)
    })

    it('gives up on one that never answers', async () => {
      const proxy = await TcpProxy.before(subject.server!.url)
      try {
        await proxy.set('hang')
        const silent = await subject.server!.impatientAt(proxy.urlFor(subject.server!.url))
        expect(await outcome(silent.head('a'))).toBe('OBJECT_STORE_UNAVAILABLE')
      } finally {
        await proxy.close()
      }
    })

    it('never takes a bucket that isn’t there for an object that is gone', async () => {
      expect(await refusals(subject.server!.missing, 'nobody-made-this')).toEqual(unavailable)
    })
  })
}

const unavailable = Array<string>(6).fill('OBJECT_STORE_UNAVAILABLE')

/** What comes of each kind of request, and the whole message of one that gives the address away. */
async function refusals(store: ObjectStore, secret: string): Promise<string[]> {
  const attempts = [
    store.head('a'),
    store.get('a'),
    store.delete('a'),
    store.put('a', bodyOf('x'), put),
    store.moveToCold('a'),
    store.list('')[Symbol.asyncIterator]().next(),
  ]
  const outcomes = await Promise.allSettled(attempts)
  return outcomes.map((one) => {
    if (one.status === 'fulfilled') return 'done'
    for (let at: unknown = one.reason; at instanceof Error; at = at.cause)
      if (at.message.includes(secret)) return at.message
    return (one.reason as ObjectStoreError).code
  })
}
