import { Database } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import { migrate, roleOf } from '../db/migrate.js'
import { checkServiceRole } from '../db/service-role.js'
import type { Region } from '../kernel/region.js'
import type { RegionSettings, RegionSettingsOf } from './region-data-store.js'

const PROBE_TIMEOUT_MS = 3_000
const CLOSE_TIMEOUT_MS = 1_000

/** What keeps settings from being used. The message is a sentence that names no password. */
export interface RegionFault {
  readonly setting: 'databaseUrl' | 'ownerUrl' | 'readOnlyUrl'
  readonly message: string
}

/**
 * Tries settings of a region before anything relies on them: migrates as the owner where there is one, and looks whether
 * the service's role is fit to serve and the read-only server answers. Null where all is well.
 */
export async function regionFault(
  region: Region,
  settings: RegionSettings,
  others: RegionSettingsOf,
): Promise<RegionFault | null> {
  const { databaseUrl, ownerUrl, readOnlyUrl } = settings
  for (const [other, { databaseUrl: taken }] of others)
    if (other !== region && placeOf(taken) === placeOf(databaseUrl))
      return { setting: 'databaseUrl', message: `is the database of region ${other}.` }
  let setting: RegionFault['setting'] = 'databaseUrl'
  try {
    if (ownerUrl !== undefined) {
      if (placeOf(ownerUrl) !== placeOf(databaseUrl))
        return { setting: 'ownerUrl', message: 'names another database than the service uses.' }
      setting = 'ownerUrl'
      await migrate({ ownerUrl, serviceRole: roleOf(databaseUrl), kind: 'region', name: region })
    }
    setting = 'databaseUrl'
    const problems = await checkServiceRole(databaseUrl, region)
    if (problems.length > 0) return { setting, message: `logs in as a role that ${problems.join('; ')}.` }
    if (ownerUrl === undefined && !(await isMigrated(databaseUrl)))
      return { setting, message: 'is a database without the tables of a region: give the owner too, who makes them.' }
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    return { setting, message: `can't be used: ${error.message}.` }
  }
  if (readOnlyUrl !== undefined && !(await answers(readOnlyUrl)))
    return { setting: 'readOnlyUrl', message: 'does not answer.' }
  return null
}

/** Server and database, whoever logs in. */
function placeOf(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `${hostname.toLowerCase()}:${port === '' ? '5432' : port}${pathname}`
}

const isMigrated = (url: string): Promise<boolean> =>
  ask(url, async (database) => {
    const [row] = await database.query<{ there: boolean }>(`select to_regclass('event') is not null as there`, [], {
      timeoutMs: PROBE_TIMEOUT_MS,
    })
    return row?.there === true
  })

/** Whether a database can be asked anything. */
export const answers = (url: string): Promise<boolean> =>
  ask(url, async (database) => {
    await database.query('select 1', [], { timeoutMs: PROBE_TIMEOUT_MS })
    return true
  })

async function ask(url: string, work: (database: Database) => Promise<boolean>): Promise<boolean> {
  const database = Database.open({ name: 'region', url, poolMax: 1 })
  try {
    return await work(database)
  } catch (error) {
    if (error instanceof DatabaseError) return false
    throw error
  } finally {
    await database.close(CLOSE_TIMEOUT_MS)
  }
}
