import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { ConfigError, type Config, type ConfigProblem, type EmbeddedDatabases, type OwnDatabases } from './config.js'
import { Database } from './db/database.js'
import { DatabaseError } from './db/database-error.js'
import { Supervisor } from './db/embedded/supervisor.js'
import type { Log } from './db/log.js'
import { migrate, roleOf } from './db/migrate.js'
import { checkServiceRole } from './db/service-role.js'
import { regions, type Region } from './kernel/region.js'
import type { RegionSettings, RegionSettingsOf } from './regions/region-data-store.js'
import { loadRegionSettings, recordRegionSettings } from './regions/region-data-store.store.js'
import type { RegionRegistry } from './regions/region-registry.js'
import { ControlSecrets } from './sealing/control-secrets.js'

export interface StartedDatabases {
  /** The control database, migrated, as the service's role. */
  readonly controlUrl: string
  /** The same as the owner of its tables. */
  readonly controlOwnerUrl: string
  /** Ends what was started. */
  stop(): Promise<void>
}

// A database beside us in the same compose file may still be starting.
const patienceMs = 30_000
const retryMs = 500

/**
 * Makes the databases ready to serve: starts the embedded servers where there are no others, migrates the control
 * database and tells it where the regions are. Throws `ConfigError` for what the settings should have been.
 */
export function startDatabases(config: Config, log: Log): Promise<StartedDatabases> {
  const { databases } = config
  return databases.mode === 'embedded' ? startEmbedded(config, databases, log) : startOwn(config, databases, log)
}

/** What the settings lack to serve the regions that the control database knows, as found while the app was made. */
export function regionProblems(config: Config, registry: RegionRegistry): ConfigProblem[] {
  const refused = registry.problems.map(({ region, problem }) => ({
    name: config.databases.mode === 'own' ? `REGION_${region}_DATABASE_URL` : region,
    message: problem,
  }))
  const keyless = registry
    .list()
    .filter(({ region }) => !config.regionMasterKeys.has(region))
    .map(({ region }) => ({ name: `REGION_${region}_MASTER_KEY`, message: 'is missing; the region is in use.' }))
  return [...refused, ...keyless]
}

async function startEmbedded(config: Config, embedded: EmbeddedDatabases, log: Log): Promise<StartedDatabases> {
  const supervisor = await Supervisor.start({
    dataDir: config.dataDir,
    servers: new Map(Object.entries(embedded.passwords)),
    log,
    onRestarted: () => {
      // A region that was stopped when we started has been given its port only now.
      record().catch((err: unknown) => log.error({ err }, 'the regions could not be written to the control database'))
    },
  })
  const record = async (): Promise<void> => {
    const controlUrl = supervisor.url('control', 'service')
    if (controlUrl === undefined) throw new Error('The control server is not running.')
    await withControl(controlUrl, (control) =>
      recordRegionSettings(
        control,
        new ControlSecrets(config.controlMasterKey),
        embeddedRegions(supervisor, config),
        'changed',
      ),
    )
  }
  try {
    const controlUrl = supervisor.url('control', 'service')
    const ownerUrl = supervisor.url('control', 'owner')
    if (controlUrl === undefined || ownerUrl === undefined) throw new Error('The control server is not running.')
    await migrate({ ownerUrl, serviceRole: roleOf(controlUrl), kind: 'control' })
    await record()
    return { controlUrl, controlOwnerUrl: ownerUrl, stop: () => supervisor.stop() }
  } catch (error) {
    await supervisor.stop()
    throw error
  }
}

function embeddedRegions(supervisor: Supervisor, config: Config): RegionSettingsOf {
  const settings = new Map<Region, RegionSettings>()
  for (const region of regions) {
    const databaseUrl = supervisor.url(region, 'service')
    if (databaseUrl === undefined) continue
    settings.set(region, {
      databaseUrl,
      ownerUrl: supervisor.url(region, 'owner'),
      readOnlyUrl: undefined,
      coldStorage: { provider: 'LOCAL', bucket: join(config.dataDir, 'cold', region.toLowerCase()) },
    })
  }
  return settings
}

async function withControl<T>(url: string, work: (control: Database) => Promise<T>): Promise<T> {
  const control = Database.open({ name: 'CONTROL', url, poolMax: 1 })
  try {
    return await work(control)
  } finally {
    await control.close(1_000)
  }
}

async function startOwn(config: Config, own: OwnDatabases, log: Log): Promise<StartedDatabases> {
  const { controlDatabaseUrl: controlUrl, controlOwnerUrl: ownerUrl } = own
  const problems: ConfigProblem[] = []
  const firstTry: FirstTry = { log, deadline: Date.now() + patienceMs }
  await checkVault(config.keyVaultDir, problems)
  // Before the migrations: what they grant to a role that was named by mistake would stay with it.
  await Promise.all([
    checkUrl('CONTROL_DATABASE_URL', controlUrl, 'service', firstTry, problems),
    checkUrl('CONTROL_OWNER_URL', ownerUrl, 'owner', firstTry, problems),
  ])
  if (!problems.some(({ name }) => name.startsWith('CONTROL_'))) {
    try {
      await migrate({ ownerUrl, serviceRole: roleOf(controlUrl), kind: 'control' })
      await recordOwnRegions(config, own, firstTry, problems)
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      problems.push({ name: 'CONTROL_OWNER_URL', message: error.message })
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return { controlUrl, controlOwnerUrl: ownerUrl, stop: async () => undefined }
}

async function recordOwnRegions(
  config: Config,
  own: OwnDatabases,
  firstTry: FirstTry,
  problems: ConfigProblem[],
): Promise<void> {
  const secrets = new ControlSecrets(config.controlMasterKey)
  await withControl(own.controlDatabaseUrl, async (control) => {
    const known = await loadRegionSettings(control, secrets).catch((error: unknown) => {
      if (error instanceof DatabaseError) throw error
      problems.push({ name: 'CONTROL_MASTER_KEY', message: 'is not the key that this control database was made with.' })
      return undefined
    })
    if (known === undefined) return
    if (known.size + own.regions.size === 0)
      problems.push({
        name: 'REGION_<CODE>_DATABASE_URL',
        message: `is missing; at least one of ${regions.join(', ')} is needed.`,
      })
    // What is written to the table rules from then on: a mistake must not get there.
    const added = [...own.regions].filter(([region]) => !known.has(region))
    await Promise.all(added.map(([region, settings]) => checkRegion(region, settings, firstTry, problems)))
    if (problems.length === 0) await recordRegionSettings(control, secrets, own.regions, 'missing')
  })
}

async function checkRegion(
  region: Region,
  { databaseUrl, ownerUrl }: RegionSettings,
  firstTry: FirstTry,
  problems: ConfigProblem[],
): Promise<void> {
  await checkUrl(`REGION_${region}_DATABASE_URL`, databaseUrl, 'service', firstTry, problems)
  if (ownerUrl !== undefined) await checkUrl(`REGION_${region}_OWNER_URL`, ownerUrl, 'owner', firstTry, problems)
}

/** A server that doesn't answer (yet) is given some time: until `deadline`, a moment of Date.now(). */
interface FirstTry {
  readonly log: Log
  readonly deadline: number
}

/** Adds a problem where nobody can log in with the URL, or the service would with a role that it must not have. */
async function checkUrl(
  name: string,
  url: string,
  role: 'service' | 'owner',
  { log, deadline }: FirstTry,
  problems: ConfigProblem[],
): Promise<void> {
  for (let said = false; ; said = true) {
    try {
      const found = await checkServiceRole(url, 'its database')
      if (role === 'service' && found.length > 0)
        problems.push({ name, message: `the role it logs in as ${found.join('; ')}` })
      return
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      const later = error.unavailable && error.code?.startsWith('28') !== true
      if (!later || Date.now() > deadline) {
        problems.push({ name, message: error.message })
        return
      }
      if (!said) log.warn({ err: error, setting: name }, 'waiting for a database')
      await wait(retryMs)
    }
  }
}

async function checkVault(path: string, problems: ConfigProblem[]): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    problems.push({ name: 'KEY_VAULT_DIR', message: `can't be used (${(error as NodeJS.ErrnoException).code}).` })
  }
}
