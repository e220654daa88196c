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

/** `local:/folder`, `aws:bucket`, `azure:container` or `gcp:bucket`; undefined where the text is none of them. */
export function parseColdStorage(text: string): ColdStorage | undefined {
  const found = /^(local|aws|azure|gcp):(.+)$/.exec(text)
  return found === null
    ? undefined
    : { provider: found[1]!.toUpperCase() as ColdStorage['provider'], bucket: found[2]! }
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
