import { isAbsolute } from 'node:path'
import type { Region } from '../kernel/region.js'

export const coldStorageProviders = ['LOCAL', 'AWS', 'AZURE', 'GCP'] as const

export interface ColdStorage {
  readonly provider: (typeof coldStorageProviders)[number]
  /** Bucket or container; for LOCAL a folder. */
  readonly bucket: string
}

/** Where a region's data is. */
export interface RegionSettings {
  /** Logs in as a role that is neither owner nor superuser. */
  readonly databaseUrl: string
  /** Logs in as the owner of the tables; undefined where somebody else migrates. */
  readonly ownerUrl: string | undefined
  readonly readOnlyUrl: string | undefined
  readonly coldStorage: ColdStorage
}

export type RegionSettingsOf = ReadonlyMap<Region, RegionSettings>

/** What the vendors allow; servers that speak like S3 are less strict than Amazon. */
const bucketNames = {
  AWS: /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/,
  AZURE: /^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/,
  GCP: /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/,
} as const

/** Whether there can be a bucket, a container or (LOCAL) a folder of this name. A folder is named from the root. */
export const isColdStorage = ({ provider, bucket }: ColdStorage): boolean =>
  provider === 'LOCAL' ? isAbsolute(bucket) && !bucket.includes('\0') : bucketNames[provider].test(bucket)

/** `local:/folder`, `aws:bucket`, `azure:container` or `gcp:bucket`; undefined where the text is none of them. */
export function parseColdStorage(text: string): ColdStorage | undefined {
  const [, provider, bucket] = /^(local|aws|azure|gcp):(.+)$/.exec(text) ?? []
  if (provider === undefined || bucket === undefined) return undefined
  const place = { provider: provider.toUpperCase() as ColdStorage['provider'], bucket }
  return isColdStorage(place) ? place : undefined
}

/** True for a URL that names a PostgreSQL server, a role and a database. */
export function isPostgresUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  return (
    (url.protocol === 'postgres:' || url.protocol === 'postgresql:') &&
    url.hostname !== '' &&
    url.username !== '' &&
    url.pathname.length > 1
  )
}

/** True where two regions' settings say the same. */
export const sameSettings = (a: RegionSettings, b: RegionSettings): boolean =>
  a.databaseUrl === b.databaseUrl &&
  a.ownerUrl === b.ownerUrl &&
  a.readOnlyUrl === b.readOnlyUrl &&
  a.coldStorage.provider === b.coldStorage.provider &&
  a.coldStorage.bucket === b.coldStorage.bucket
