import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import { sameSettings, type ColdStorage, type RegionSettings, type RegionSettingsOf } from './region-data-store.js'

interface Row {
  readonly region: Region
  readonly database_url_sealed: Buffer
  readonly owner_url_sealed: Buffer | null
  readonly read_only_url_sealed: Buffer | null
  readonly cold_storage_provider: ColdStorage['provider']
  readonly cold_storage_bucket: string
}

const timeoutMs = 5_000

/** Every configured region with its settings. Throws where the control master key is not the one they were sealed with. */
export async function loadRegionSettings(
  control: Database,
  secrets: ControlSecrets,
): Promise<Map<Region, RegionSettings>> {
  const rows = await control.query<Row>(
    `select region, database_url_sealed, owner_url_sealed, read_only_url_sealed, cold_storage_provider, cold_storage_bucket
       from region_data_store`,
    [],
    { timeoutMs },
  )
  return new Map(
    rows.map((row) => [
      row.region,
      {
        databaseUrl: secrets.openRegionUrl(row.region, 'database_url', row.database_url_sealed),
        ownerUrl:
          row.owner_url_sealed === null
            ? undefined
            : secrets.openRegionUrl(row.region, 'owner_url', row.owner_url_sealed),
        readOnlyUrl:
          row.read_only_url_sealed === null
            ? undefined
            : secrets.openRegionUrl(row.region, 'read_only_url', row.read_only_url_sealed),
        coldStorage: { provider: row.cold_storage_provider, bucket: row.cold_storage_bucket },
      },
    ]),
  )
}

/** Writes one region's settings in place of what was there. Every process hears of it. */
export async function saveRegionSettings(
  control: Pick<Database, 'query'>,
  secrets: ControlSecrets,
  region: Region,
  settings: RegionSettings,
): Promise<void> {
  const { databaseUrl, ownerUrl, readOnlyUrl, coldStorage } = settings
  await control.query(
    `insert into region_data_store (region, database_url_sealed, owner_url_sealed, read_only_url_sealed,
       cold_storage_provider, cold_storage_bucket, updated_at)
     values ($1, $2, $3, $4, $5, $6, now())
     on conflict (region) do update set database_url_sealed = excluded.database_url_sealed,
       owner_url_sealed = excluded.owner_url_sealed, read_only_url_sealed = excluded.read_only_url_sealed,
       cold_storage_provider = excluded.cold_storage_provider, cold_storage_bucket = excluded.cold_storage_bucket,
       updated_at = excluded.updated_at`,
    [
      region,
      secrets.sealRegionUrl(region, 'database_url', databaseUrl),
      ownerUrl === undefined ? null : secrets.sealRegionUrl(region, 'owner_url', ownerUrl),
      readOnlyUrl === undefined ? null : secrets.sealRegionUrl(region, 'read_only_url', readOnlyUrl),
      coldStorage.provider,
      coldStorage.bucket,
    ],
    { timeoutMs },
  )
}

/**
 * Brings settings known at a start into the table. `missing` leaves the rows that are there alone (the table rules from
 * the first start on); `changed` overwrites those that differ (embedded servers, whose ports may have moved).
 */
export async function recordRegionSettings(
  control: Database,
  secrets: ControlSecrets,
  given: RegionSettingsOf,
  which: 'missing' | 'changed',
): Promise<void> {
  // Sealed twice, the same text looks different: compare what is inside, so that nobody is told of a change that is none.
  const known = await loadRegionSettings(control, secrets)
  for (const [region, settings] of given) {
    const before = known.get(region)
    if (before === undefined || (which === 'changed' && !sameSettings(before, settings)))
      await saveRegionSettings(control, secrets, region, settings)
  }
}
