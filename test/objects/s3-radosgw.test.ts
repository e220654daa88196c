import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ObjectLockedError } from '../../src/objects/object-errors.js'
import { S3ObjectStore, type S3StoreOptions } from '../../src/objects/s3/s3-store.js'
import type { RunningServer } from '../harness/servers/process.js'
import { radosgwCredentials as credentials, radosgwMissing, startRadosgw } from '../harness/servers/radosgw.js'
import { settableClock } from '../harness/settable-clock.js'
import { bodyOf, brokenBody, textOf } from './bodies.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const MIB = 1024 * 1024
const dayMs = 86_400_000
/** The least that S3 takes for a part that isn't the last. */
const partBytes = 5 * MIB
const put = { contentType: 'application/octet-stream', precondition: 'new' } as const

const skipped = radosgwMissing === undefined ? '' : ` (${radosgwMissing})`
describe.skipIf(radosgwMissing !== undefined)(`S3 of Ceph${skipped}`, () => {
  let server: RunningServer
  let client: S3Client

  beforeAll(async () => {
    server = await startRadosgw()
    client = new S3Client({ endpoint: server.url, region: 'us-east-1', credentials, forcePathStyle: true })
  }, 120_000)
  afterAll(async () => {
    client?.destroy()
    await server?.stop()
  })

  const clock = settableClock()
  const open = (options: Partial<S3StoreOptions>): S3ObjectStore =>
    new S3ObjectStore({
      bucket: 'cold',
      endpoint: server.url,
      credentials,
      clock,
      sizes: { partBytes, listPage: 3 },
      ...options,
    })

  async function begin(): Promise<Subject> {
    await client.send(new CreateBucketCommand({ Bucket: 'cold' }))
    return {
      store: open({}),
      clock,
      partBytes,
      finishRestores: async () => undefined,
      server: {
        url: server.url,
        at: (endpoint) => open({ endpoint }),
        impatientAt: (endpoint) => open({ endpoint, patience: { silenceMs: 300, attemptsMax: 2 } }),
        missing: open({ bucket: 'nobody-made-this' }),
      },
      stop: async () => undefined,
    }
  }
  // Of a multipart upload this server takes the condition for nothing.
  keepsItsPromises(begin, { refusesLateParts: false })

  it('refuses who can’t sign', async () => {
    const store = open({ credentials: { accessKeyId: credentials.accessKeyId, secretAccessKey: 'wrong' } })
    await expect(store.put('a', bodyOf('x'), put)).rejects.toMatchObject({ reason: 'SignatureDoesNotMatch' })
  })

  it('leaves no parts of an upload that breaks off', async () => {
    await client.send(new CreateBucketCommand({ Bucket: 'parts' }))
    const store = open({ bucket: 'parts' })
    await expect(store.put('a', brokenBody(3 * partBytes, new Error('gone')), put)).rejects.toThrow('gone')
    const { Uploads: uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'parts' }))
    expect(uploads ?? []).toEqual([])
  })

  // Not of what is replaced: in a bucket with versions this server finds no condition met.
  it('leaves no version of what was moved or deleted', async () => {
    const bucket = 'versions'
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }))
    const versions = async (): Promise<number> => {
      const answer = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }))
      return (answer.Versions ?? []).length + (answer.DeleteMarkers ?? []).length
    }
    const store = open({ bucket })
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a stranger’s' }))
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'with a name' }))
    expect(await versions()).toBe(2)
    await store.moveToCold('a')
    expect(await versions()).toBe(1)
    await store.delete('a')
    expect(await versions()).toBe(0)
  })

  it('neither deletes, replaces nor moves under Object Lock (OBJECT_LOCKED)', async () => {
    const bucket = 'locked'
    await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: true }))
    await client.send(
      new PutObjectLockConfigurationCommand({
        Bucket: bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 1 } },
        },
      }),
    )
    const store = open({ bucket, clock: settableClock() })
    const head = await store.put('a', bodyOf('kept'), put)
    await expect(store.delete('a')).rejects.toThrow(ObjectLockedError)
    await expect(store.put('a', bodyOf('x'), { ...put, precondition: head })).rejects.toThrow(ObjectLockedError)
    await expect(store.moveToCold('a')).rejects.toThrow(ObjectLockedError)
    expect(await textOf(await store.get('a'))).toBe('kept')
    // The server's own clock goes on ruling where ours believes that the time is over.
    const later = settableClock(new Date(Date.now() + 2 * dayMs))
    await expect(open({ bucket, clock: later }).delete('a')).rejects.toMatchObject({ reason: 'AccessDenied' })
  })
})
