import type { KeyObject } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { dataDirOf, readConfig, usesOwnServers, type Config } from '../config.js'
import { Database } from '../db/database.js'
import { isAlive, readPostmaster } from '../db/embedded/postmaster-pid.js'
import { serverFolder } from '../db/embedded/server-requests.js'
import { controlEntities } from '../directory/entities.js'
import { systemClock, type Clock } from '../kernel/clock.js'
import { ControlSecrets } from '../sealing/control-secrets.js'
import type { AdminAnswer } from './admin-output.js'
import { AdminRefusal } from './admin-refusal.js'

const CLOSE_TIMEOUT_MS = 2_000

/** What the administrative commands work with: the control database itself, not the API. */
export interface AdminSession {
  readonly control: Database
  readonly secrets: ControlSecrets
  readonly pepper: KeyObject
  readonly clock: Clock
  readonly config: Config
}

/** Runs a command's work, prints its answer or what was wrong, and tells the exit code. */
export type RunAdmin = (command: Command, work: (session: AdminSession) => Promise<AdminAnswer>) => Promise<void>

/**
 * Runs work on the control database that the environment names, or on that of the servers HyreLog runs in DATA_DIR.
 * Throws ConfigError, AdminRefusal, and what the work throws.
 */
export async function withAdminSession<T>(
  environment: Readonly<Record<string, string | undefined>>,
  work: (session: AdminSession) => Promise<T>,
): Promise<T> {
  refuseEmptyFolder(environment)
  const config = await readConfig(environment)
  const control = Database.open({ name: 'CONTROL', url: controlUrl(config), entities: controlEntities, poolMax: 2 })
  try {
    const secrets = new ControlSecrets(config.controlMasterKey)
    return await work({ control, secrets, pepper: config.apiKeyPepper, clock: systemClock, config })
  } finally {
    await control.close(CLOSE_TIMEOUT_MS)
  }
}

/** Reading the settings would make a new installation's secrets; an administrative command must not. */
function refuseEmptyFolder(environment: Readonly<Record<string, string | undefined>>): void {
  if (usesOwnServers(environment)) return
  const dataDir = dataDirOf(environment)
  if (!existsSync(join(dataDir, 'secrets.json')))
    throw new AdminRefusal(
      `There is no HyreLog in ${dataDir}: start it there first, set DATA_DIR, or set CONTROL_DATABASE_URL and its like.`,
    )
}

function controlUrl({ databases, dataDir }: Config): string {
  if (databases.mode === 'own') return databases.controlDatabaseUrl
  const postmaster = readPostmaster(join(dataDir, serverFolder('control')))
  if (postmaster === undefined || !postmaster.ready || !isAlive(postmaster.pid))
    throw new AdminRefusal(`The control database in ${dataDir} is not running: start HyreLog there first.`)
  // As the embedded servers are furnished.
  const password = encodeURIComponent(databases.passwords.control.service)
  return `postgres://hyrelog_service:${password}@127.0.0.1:${postmaster.port}/hyrelog`
}
