import { describe, expect, it } from 'vitest'
import {
  settingsProblems,
  type ObjectPlace,
  type ObjectStoreSettings,
} from '../../src/objects/object-store-settings.js'
import { openObjectStore } from '../../src/objects/open-object-store.js'
import { makeDataFolder } from '../harness/data-folder.js'
import { AzureFake, FakeContainer } from '../harness/servers/azure-fake.js'
import { FakeGcsBucket, GcsFake } from '../harness/servers/gcs-fake.js'
import { FakeBucket } from '../harness/servers/s3-fake-bucket.js'
import { S3Fake } from '../harness/servers/s3-fake.js'
import { settableClock } from '../harness/settable-clock.js'
import { bodyOf } from './bodies.js'

const put = { contentType: 'application/octet-stream', precondition: 'new' } as const

describe('a region’s cold storage', () => {
  it('opens the bucket of each vendor as its settings say', async () => {
    const clock = settableClock()
    const [folder, s3, azure, gcs] = await Promise.all([
      makeDataFolder(),
      S3Fake.start(),
      AzureFake.start(),
      GcsFake.start(),
    ])
    try {
      const bucket = new FakeBucket(clock)
      s3.buckets.set('eu', bucket)
      const container = new FakeContainer(clock)
      azure.containers.set('eu', container)
      const googleBucket = new FakeGcsBucket()
      gcs.buckets.set('eu', googleBucket)
      const places: readonly (readonly [ObjectPlace, ObjectStoreSettings, () => unknown])[] = [
        [{ provider: 'LOCAL', bucket: folder.path }, {}, () => true],
        [
          { provider: 'AWS', bucket: 'eu' },
          { endpoint: s3.url, credentials: 'id:secret', storageClass: 'GLACIER', encryption: 'kms:key-1' },
          () =>
            bucket.current('a')?.storageClass === 'GLACIER' &&
            bucket.current('a')?.headers['x-amz-server-side-encryption-aws-kms-key-id'] === 'key-1',
        ],
        [
          { provider: 'AZURE', bucket: 'eu' },
          { credentials: azure.connectionString() },
          () => container.current('a')?.tier === 'Archive',
        ],
        [
          { provider: 'GCP', bucket: 'eu' },
          { endpoint: gcs.url, storageClass: 'COLDLINE' },
          () => googleBucket.find('a', null).storageClass === 'COLDLINE',
        ],
      ]
      for (const [place, settings, isThere] of places) {
        const store = await openObjectStore(place, settings, clock)
        await store.put('a', bodyOf('x'), put)
        expect((await store.moveToCold('a')).objectClass, place.provider).toBe('COLD')
        expect(isThere(), place.provider).toBe(true)
      }
    } finally {
      await Promise.all([folder.remove(), s3.stop(), azure.stop(), gcs.stop()])
    }
  })

  it('says what doesn’t go together when it is opened, and keeps secrets to itself', async () => {
    const opening = openObjectStore({ provider: 'GCP', bucket: 'eu' }, { encryption: 'aes256' }, settableClock())
    await expect(opening).rejects.toMatchObject({ code: 'OBJECT_STORE_UNAVAILABLE', reason: 'InvalidSettings' })
  })

  it.each<[ObjectPlace['provider'], ObjectStoreSettings, (keyof ObjectStoreSettings)[]]>([
    ['LOCAL', {}, []],
    ['LOCAL', { endpoint: 'http://a', storageClass: undefined }, ['endpoint']],
    ['AWS', {}, []],
    ['AWS', { storageClass: 'ARCHIVE' }, ['storageClass']],
    ['AWS', { credentials: 'no-colon' }, ['credentials']],
    ['AZURE', { endpoint: 'https://a.blob.core.windows.net' }, []],
    ['AZURE', {}, ['endpoint']],
    ['AZURE', { credentials: 'AccountName=a' }, ['credentials']],
    ['AZURE', { credentials: 'AccountName=a;AccountKey=b' }, []],
    ['AZURE', { endpoint: 'https://a', storageClass: 'ARCHIVE' }, ['storageClass']],
    ['GCP', { storageClass: 'DEEP_ARCHIVE' }, ['storageClass']],
    ['GCP', { region: 'eu', pathStyle: true }, ['region', 'pathStyle']],
  ])('with %s and %j finds wrong: %j', (provider, settings, wrong) => {
    expect(settingsProblems(provider, settings).map(({ setting }) => setting)).toEqual(wrong)
  })
})
