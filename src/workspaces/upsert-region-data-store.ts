import type { AdminActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import { orControlUnavailable } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import { badInput } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { type ColdStorage, isColdStorage, isPostgresUrl, type RegionSettings } from '../regions/region-data-store.js'
import { loadRegionSettings, saveRegionSettings } from '../regions/region-data-store.store.js'
import { regionFault } from '../regions/region-fault.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'

const URL_CHARACTERS_MAX = 2_000
const BUCKET_CHARACTERS_MAX = 500

const fieldOf = {
  databaseUrl: 'input.dbUrl',
  ownerUrl: 'input.ownerUrl',
  readOnlyUrl: 'input.readOnlyUrl',
} as const satisfies Record<string, string>

export interface UpsertRegionDataStoreInput {
  readonly region: Region
  readonly dbUrl: string
  /** Of both: left out, what was there stays as long as the database is the same; null, there is none. */
  readonly ownerUrl?: string | null | undefined
  readonly readOnlyUrl?: string | null | undefined
  readonly coldStorageProvider: ColdStorage['provider']
  readonly coldStorageBucket: string
}

/** A region's settings as they are shown. */
export interface ShownRegionDataStore {
  readonly region: Region
  /** Without the password. */
  readonly dbUrl: string
  readonly coldStorage: ColdStorage
}

export interface RegionDataStoreDeps {
  readonly control: Database
  readonly secrets: ControlSecrets
  readonly clock: Clock
  /** Whether this process has the master key of a region. */
  readonly hasMasterKey: (region: Region) => boolean
}

/**
 * Says where a region's data is. Everything is tried first: the owner migrates, the service's role is checked, the
 * read-only server asked; nothing is changed where one of them fails. Every process uses it within a second or so. Staff.
 * UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, BAD_USER_INPUT (naming the field), REGION_UNAVAILABLE (control).
 */
export async function upsertRegionDataStore(
  deps: RegionDataStoreDeps,
  viewer: Viewer,
  input: UpsertRegionDataStoreInput,
): Promise<ShownRegionDataStore> {
  const session = admitSession(viewer, 'upsertRegionDataStore')
  const { region } = input
  if (!deps.hasMasterKey(region))
    throw badInput(
      'input.region',
      `can't be served: REGION_${region}_MASTER_KEY is not set. Every process needs it; set it and restart them first.`,
    )
  const known = await orControlUnavailable(() => loadRegionSettings(deps.control, deps.secrets))
  const settings = settingsOf(input, known.get(region))
  const fault = await regionFault(region, settings, known)
  if (fault !== null) throw badInput(fieldOf[fault.setting], fault.message)
  const shown = { region, dbUrl: maskedUrl(settings.databaseUrl), coldStorage: settings.coldStorage }
  await writeRegionDataStore(deps, { region, settings, actor: { kind: 'user', userId: session.user.id } })
  return shown
}

/**
 * Writes where a region's data is, and the admin log's entry of it, without a password. The settings have been tried
 * before. REGION_UNAVAILABLE where control doesn't answer.
 */
export async function writeRegionDataStore(
  deps: { readonly control: Database; readonly clock: Clock; readonly secrets: ControlSecrets },
  change: { readonly region: Region; readonly settings: RegionSettings; readonly actor: AdminActor },
): Promise<void> {
  const { region, settings, actor } = change
  await changeControl(deps, async ({ tx, log }) => {
    const inChange: Pick<Database, 'query'> = { query: (sql, values) => tx.query(sql, values) }
    await saveRegionSettings(inChange, deps.secrets, region, settings)
    log({
      companyId: null,
      actor,
      action: 'region.data_store_set',
      category: 'region',
      target: { type: 'region', id: region },
      payload: {
        dbUrl: maskedUrl(settings.databaseUrl),
        coldStorage: { provider: settings.coldStorage.provider, bucket: settings.coldStorage.bucket },
        hasOwner: settings.ownerUrl !== undefined,
        hasReadOnly: settings.readOnlyUrl !== undefined,
      },
    })
  })
}

function settingsOf(input: UpsertRegionDataStoreInput, before: RegionSettings | undefined): RegionSettings {
  const databaseUrl = validUrl(input.dbUrl, fieldOf.databaseUrl)
  const isSame = before !== undefined && maskedUrl(before.databaseUrl) === maskedUrl(databaseUrl)
  const orBefore = (given: string | null | undefined, setting: 'ownerUrl' | 'readOnlyUrl'): string | undefined => {
    if (given === undefined) return isSame ? before[setting] : undefined
    return given === null ? undefined : validUrl(given, fieldOf[setting])
  }
  return {
    databaseUrl,
    ownerUrl: orBefore(input.ownerUrl, 'ownerUrl'),
    readOnlyUrl: orBefore(input.readOnlyUrl, 'readOnlyUrl'),
    coldStorage: { provider: input.coldStorageProvider, bucket: validBucket(input) },
  }
}

function validUrl(text: string, field: string): string {
  if (text.length > URL_CHARACTERS_MAX || !isPostgresUrl(text))
    throw badInput(field, 'must be a URL like postgres://user:password@host:5432/database.')
  return text
}

function validBucket({ coldStorageProvider: provider, coldStorageBucket }: UpsertRegionDataStoreInput): string {
  const bucket = coldStorageBucket.trim()
  if (bucket === '' || bucket.length > BUCKET_CHARACTERS_MAX || /\p{Cc}/u.test(bucket) || !bucket.isWellFormed())
    throw badInput('input.coldStorageBucket', `must be 1 to ${BUCKET_CHARACTERS_MAX} printable characters.`)
  if (!isColdStorage({ provider, bucket }))
    throw badInput(
      'input.coldStorageBucket',
      provider === 'LOCAL'
        ? 'must be a folder from the root, such as /folder.'
        : `is no name of a bucket of ${provider}.`,
    )
  return bucket
}

/** A connection URL that may be shown: its password, and parameters, which may hold one, are left out. */
function maskedUrl(text: string): string {
  const url = new URL(text)
  if (url.password !== '') url.password = '****'
  url.search = ''
  return url.href
}
