import { join } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { systemActor } from '../admin-log/admin-entry.js'
import { dataDirOf, readConfig, usesOwnServers, type Config } from '../config.js'
import { Database } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import { holderOf } from '../db/embedded/data-dir-lock.js'
import { runningPostmaster } from '../db/embedded/postmaster-pid.js'
import { isStopWished, serverFolder } from '../db/embedded/server-requests.js'
import { controlEntities } from '../directory/entities.js'
import { systemClock } from '../kernel/clock.js'
import { regions, type Region } from '../kernel/region.js'
import { isPostgresUrl, parseColdStorage, type ColdStorage, type RegionSettings } from '../regions/region-data-store.js'
import { loadRegionSettings } from '../regions/region-data-store.store.js'
import { answers, regionFault } from '../regions/region-fault.js'
import { ControlSecrets } from '../sealing/control-secrets.js'
import { writeRegionDataStore } from '../workspaces/upsert-region-data-store.js'
import { AdminRefusal } from './admin-refusal.js'
import { exitCodes, type CliProcess } from './ingest-command.js'

type AdminProcess = Pick<CliProcess, 'stdout' | 'stderr' | 'env'>

/** What `set` was told on the command line. */
export interface RegionChange {
  readonly databaseUrl?: string
  readonly ownerUrl?: string
  readonly readOnlyUrl?: string
  /** False for `--no-read-only`. */
  readonly readOnly: boolean
  readonly coldStorage?: ColdStorage
  readonly fromEnvironment?: boolean
}

const closeTimeoutMs = 1_000

export function postgresUrlOf(text: string): string {
  if (isPostgresUrl(text)) return text
  throw new InvalidArgumentError('It must be a URL like postgres://user:password@host:5432/database.')
}

export function coldStorageOf(text: string): ColdStorage {
  const place = parseColdStorage(text)
  if (place !== undefined) return place
  throw new InvalidArgumentError('It must be local:/folder, aws:bucket, azure:container or gcp:bucket.')
}

/** Without the password. */
function describeUrl(url: string): string {
  const { username, host, pathname } = new URL(url)
  return `${decodeURIComponent(username)}@${host}${pathname}`
}

async function withTable<T>(
  cli: AdminProcess,
  work: (control: Database, secrets: ControlSecrets, config: Config) => Promise<T>,
): Promise<T> {
  const config = await readConfig(cli.env)
  if (config.databases.mode !== 'own') throw new AdminRefusal('CONTROL_DATABASE_URL is not set.')
  const control = Database.open({
    name: 'CONTROL',
    url: config.databases.controlDatabaseUrl,
    entities: controlEntities,
    poolMax: 2,
  })
  try {
    return await work(control, new ControlSecrets(config.controlMasterKey), config)
  } catch (error) {
    if (error instanceof DatabaseError)
      throw new AdminRefusal(`The control database can't be used. ${error.message}`, exitCodes.stopped)
    throw error
  } finally {
    await control.close(closeTimeoutMs)
  }
}

/** Prints a line for each region: of the embedded servers what runs, of others what the control database says. */
export async function listRegions(cli: AdminProcess): Promise<void> {
  if (!usesOwnServers(cli.env)) {
    const dataDir = dataDirOf(cli.env)
    const holder = holderOf(dataDir)
    cli.stdout.write(
      holder === undefined
        ? `HyreLog is not running on ${dataDir}.\n`
        : `HyreLog runs on ${dataDir} (process ${holder}).\n`,
    )
    for (const region of regions) {
      const found = runningPostmaster(join(dataDir, serverFolder(region)))
      const stopped = isStopWished(dataDir, serverFolder(region)) ? 'stopped' : 'down'
      cli.stdout.write(
        `${region.padEnd(5)} ${found?.ready === true ? `running, process ${found.pid}, port ${found.port}` : stopped}\n`,
      )
    }
    return
  }
  await withTable(cli, async (control, secrets) => {
    const known = await loadRegionSettings(control, secrets)
    const lines = await Promise.all(
      regions.map(async (region) => {
        const settings = known.get(region)
        if (settings === undefined) return `${region.padEnd(5)} not configured`
        const { databaseUrl, readOnlyUrl, coldStorage } = settings
        const state = (await answers(databaseUrl)) ? 'answers' : 'does not answer'
        const replica = readOnlyUrl === undefined ? '' : `, read-only ${describeUrl(readOnlyUrl)}`
        return `${region.padEnd(5)} ${state}, ${describeUrl(databaseUrl)}${replica}, cold storage ${coldStorage.provider.toLowerCase()}:${coldStorage.bucket}`
      }),
    )
    cli.stdout.write(`${lines.join('\n')}\n`)
  })
}

function merge(
  region: Region,
  change: RegionChange,
  before: RegionSettings | undefined,
  config: Config,
): RegionSettings {
  const environment =
    change.fromEnvironment === true && config.databases.mode === 'own'
      ? config.databases.regions.get(region)
      : undefined
  const databaseUrl = change.databaseUrl ?? environment?.databaseUrl ?? before?.databaseUrl
  const ownerUrl = change.ownerUrl ?? environment?.ownerUrl ?? before?.ownerUrl
  if (databaseUrl === undefined || ownerUrl === undefined)
    throw new AdminRefusal(`${region} is new: it needs --database-url and --owner-url.`)
  return {
    databaseUrl,
    ownerUrl,
    readOnlyUrl: change.readOnly ? (change.readOnlyUrl ?? environment?.readOnlyUrl ?? before?.readOnlyUrl) : undefined,
    coldStorage: change.coldStorage ??
      environment?.coldStorage ??
      before?.coldStorage ?? { provider: 'LOCAL', bucket: join(config.dataDir, 'cold', region.toLowerCase()) },
  }
}

const settingNames = {
  databaseUrl: 'The database URL',
  ownerUrl: 'The owner URL',
  readOnlyUrl: 'The read-only database',
} as const

/** Tries and migrates a region's databases, then writes where they are to the control database. */
export async function setRegion(region: Region, change: RegionChange, cli: AdminProcess): Promise<void> {
  if (!usesOwnServers(cli.env))
    throw new AdminRefusal(
      'The regions of the embedded servers are set by HyreLog itself. With servers of your own, set CONTROL_DATABASE_URL.',
    )
  await withTable(cli, async (control, secrets, config) => {
    if (!config.regionMasterKeys.has(region))
      throw new AdminRefusal(
        `REGION_${region}_MASTER_KEY is not set. Every HyreLog process needs it to serve ${region}; set it and restart them first.`,
      )
    const known = await loadRegionSettings(control, secrets)
    const settings = merge(region, change, known.get(region), config)
    const fault = await regionFault(region, settings, known)
    if (fault !== null) throw new AdminRefusal(`${settingNames[fault.setting]} ${fault.message} Nothing was changed.`)
    await writeRegionDataStore({ control, secrets, clock: systemClock }, { region, settings, actor: systemActor })
    cli.stdout.write(`${region} is at ${describeUrl(settings.databaseUrl)}. Running processes use it within seconds.\n`)
  })
}
