import { BlobServiceClient } from '@azure/storage-blob'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { azureContainer } from '../../src/objects/azure/azure-client.js'
import { AzureObjectStore } from '../../src/objects/azure/azure-store.js'
import { gcsBucket } from '../../src/objects/gcs/gcs-client.js'
import { GcsObjectStore } from '../../src/objects/gcs/gcs-store.js'
import { LocalObjectStore } from '../../src/objects/local/local-store.js'
import type { ObjectStore } from '../../src/objects/object-store.js'
import { S3ObjectStore } from '../../src/objects/s3/s3-store.js'
import { makeDataFolder } from './data-folder.js'
import { azuriteMissing, startAzurite } from './servers/azurite.js'
import { FakeGcsBucket, GcsFake } from './servers/gcs-fake.js'
import { radosgwCredentials, radosgwMissing, startRadosgw } from './servers/radosgw.js'
import { FakeBucket } from './servers/s3-fake-bucket.js'
import { S3Fake } from './servers/s3-fake.js'
import type { SettableClock } from './settable-clock.js'

const RESTORE_MS = 5 * 3_600_000

/** A bucket for a test's archive objects. */
export interface OpenBucket {
  readonly store: ObjectStore
  /** Moves the clock to where restores that were asked for are over; nothing where the server gives them at once. */
  finishRestores(): void
  stop(): Promise<void>
}

/** Buckets that a whole archive can be tried on, by the server behind each. */
export const buckets: readonly {
  readonly name: string
  /** Why it can't be tried here. */
  readonly missing: string | undefined
  readonly open: (clock: SettableClock) => Promise<OpenBucket>
}[] = [
  {
    name: 'a folder',
    missing: undefined,
    async open(clock) {
      const folder = await makeDataFolder()
      return {
        store: new LocalObjectStore({ folder: folder.path, clock, restoreDelayMs: RESTORE_MS }),
        finishRestores: () => clock.advance(RESTORE_MS),
        stop: () => folder.remove(),
      }
    },
  },
  {
    name: 'S3 as Amazon documents it (our own fake)',
    missing: undefined,
    async open(clock) {
      const fake = await S3Fake.start()
      const bucket = new FakeBucket(clock, false)
      fake.buckets.set('cold', bucket)
      const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' }
      return {
        store: new S3ObjectStore({ bucket: 'cold', endpoint: fake.url, credentials, clock }),
        finishRestores() {
          const restores = bucket.allKeys().flatMap((key) => bucket.versions(key).map(({ restore }) => restore))
          const lastMs = Math.max(...restores.map((restore) => restore?.readyAt.getTime() ?? 0))
          clock.advance(Math.max(0, lastMs - clock.now().getTime()))
        },
        stop: () => fake.stop(),
      }
    },
  },
  {
    name: 'S3 of Ceph (radosgw)',
    missing: radosgwMissing,
    async open(clock) {
      const server = await startRadosgw()
      const client = new S3Client({
        endpoint: server.url,
        region: 'us-east-1',
        credentials: radosgwCredentials,
        forcePathStyle: true,
      })
      await client.send(new CreateBucketCommand({ Bucket: 'cold' }))
      client.destroy()
      return {
        store: new S3ObjectStore({ bucket: 'cold', endpoint: server.url, credentials: radosgwCredentials, clock }),
        finishRestores: () => undefined,
        stop: () => server.stop(),
      }
    },
  },
  {
    name: 'Azure Blob Storage (Azurite)',
    missing: azuriteMissing,
    async open(clock) {
      const server = await startAzurite()
      const connectionString = server.connectionString(server.url)
      await BlobServiceClient.fromConnectionString(connectionString).createContainer('cold')
      const container = await azureContainer({ container: 'cold', connectionString, patience: {} })
      return {
        store: new AzureObjectStore({ container, clock }),
        finishRestores: () => undefined,
        stop: () => server.stop(),
      }
    },
  },
  {
    name: 'Google Cloud Storage (our own fake)',
    missing: undefined,
    async open(clock) {
      const fake = await GcsFake.start()
      fake.buckets.set('cold', new FakeGcsBucket(false))
      return {
        store: new GcsObjectStore({ bucket: gcsBucket({ bucket: 'cold', endpoint: fake.url, patience: {} }), clock }),
        finishRestores: () => undefined,
        stop: () => fake.stop(),
      }
    },
  },
]
