import type { Clock } from '../kernel/clock.js'
import { ObjectStoreUnavailableError } from './object-errors.js'
import { LocalObjectStore } from './local/local-store.js'
import type { ObjectStore } from './object-store.js'
import {
  settingsProblems,
  type awsColdClasses,
  type gcpColdClasses,
  type ObjectPlace,
  type ObjectStoreSettings,
} from './object-store-settings.js'
import type { S3Encryption } from './s3/s3-bucket.js'

/**
 * Opens the bucket of a region. Nothing is asked of it yet: a store that can't be reached says so when it is used.
 * ObjectStoreUnavailableError (`InvalidSettings`) where the settings don't go with the vendor.
 */
export async function openObjectStore(
  place: ObjectPlace,
  settings: ObjectStoreSettings,
  clock: Clock,
): Promise<ObjectStore> {
  const [problem] = settingsProblems(place.provider, settings)
  if (problem !== undefined)
    throw new ObjectStoreUnavailableError('InvalidSettings', new Error(`${problem.setting} ${problem.message}`))
  // Each vendor's library is loaded where a region has its buckets: together they are tens of megabytes.
  switch (place.provider) {
    case 'LOCAL':
      return new LocalObjectStore({ folder: place.bucket, clock })
    case 'AWS':
      return openS3(place.bucket, settings, clock)
    case 'AZURE':
      return openAzure(place.bucket, settings, clock)
    case 'GCP':
      return openGcs(place.bucket, settings, clock)
  }
}

async function openS3(bucket: string, settings: ObjectStoreSettings, clock: Clock): Promise<ObjectStore> {
  const { S3ObjectStore } = await import('./s3/s3-store.js')
  const { endpoint, region, pathStyle, credentials, encryption } = settings
  const [, accessKeyId, secretAccessKey] = /^([^:]+):(.+)$/.exec(credentials ?? '') ?? []
  return new S3ObjectStore({
    bucket,
    clock,
    endpoint,
    region,
    pathStyle,
    coldClass: settings.storageClass as (typeof awsColdClasses)[number] | undefined,
    encryption: encryptionOf(encryption),
    credentials:
      accessKeyId === undefined || secretAccessKey === undefined ? undefined : { accessKeyId, secretAccessKey },
  })
}

function encryptionOf(text: string | undefined): S3Encryption {
  if (text === undefined) return { kind: 'bucket' }
  if (text === 'aes256') return { kind: 'aes256' }
  const keyId = text.slice('kms:'.length)
  return keyId === '' ? { kind: 'kms' } : { kind: 'kms', keyId }
}

async function openAzure(container: string, settings: ObjectStoreSettings, clock: Clock): Promise<ObjectStore> {
  const { azureContainer } = await import('./azure/azure-client.js')
  const { AzureObjectStore } = await import('./azure/azure-store.js')
  const { endpoint, credentials: connectionString } = settings
  return new AzureObjectStore({ container: await azureContainer({ container, endpoint, connectionString }), clock })
}

async function openGcs(bucket: string, settings: ObjectStoreSettings, clock: Clock): Promise<ObjectStore> {
  const { gcsBucket } = await import('./gcs/gcs-client.js')
  const { GcsObjectStore } = await import('./gcs/gcs-store.js')
  const { endpoint, credentials: keyFile, storageClass } = settings
  return new GcsObjectStore({
    bucket: gcsBucket({ bucket, endpoint, keyFile }),
    clock,
    coldClass: storageClass as (typeof gcpColdClasses)[number] | undefined,
  })
}
