import { randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { regions, type Region } from '../../src/kernel/region.js'
import { ApiProcess } from './api-process.js'
import { DatabaseServer } from './database-server.js'
import { apiCount } from './fault-plan.js'
import { makeTenants, type Tenants } from './tenants.js'

export interface WorldOptions {
  /** Each region has a disk of its own, which can be filled. */
  readonly ownDisks: boolean
  /** Settings of the region servers, on top of what the service's own servers have. */
  readonly regionSettings?: Readonly<Record<string, string>>
  /** Lets writes go to a region while events are still queued for it. */
  readonly withoutRule?: boolean
}

/** The service as processes over real servers, with every connection between them in our hands. */
export interface FaultWorld extends Tenants {
  readonly folder: string
  readonly control: DatabaseServer
  readonly regions: Readonly<Record<Region, DatabaseServer>>
  readonly apis: readonly ApiProcess[]
  /** Ends everything; `keep` leaves the folder there, for whoever wants to know why. */
  close(keep: boolean): Promise<void>
}

const regionServerSettings = { max_wal_size: '256MB', shared_buffers: '32MB' }

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

const newKey = (): Buffer => randomBytes(32)

function environmentOf(
  folder: string,
  servers: Pick<FaultWorld, 'control' | 'regions'>,
  keys: { readonly controlMaster: Buffer; readonly pepper: Buffer },
): Record<string, string> {
  const regionSettings = regions.flatMap((region) => [
    [`REGION_${region}_MASTER_KEY`, newKey().toString('base64')],
    [`REGION_${region}_DATABASE_URL`, servers.regions[region].urlFor('service')],
    [`REGION_${region}_OWNER_URL`, servers.regions[region].urlFor('owner')],
    [`REGION_${region}_COLD_STORAGE`, `local:${join(folder, 'cold', region.toLowerCase())}`],
  ])
  return {
    CONTROL_DATABASE_URL: servers.control.urlFor('service'),
    CONTROL_OWNER_URL: servers.control.urlFor('owner'),
    CONTROL_MASTER_KEY: keys.controlMaster.toString('base64'),
    API_KEY_PEPPER: keys.pepper.toString('base64'),
    KEY_VAULT_DIR: join(folder, 'vault'),
    DATA_DIR: join(folder, 'service'),
    LOG_NAME: 'faults.test',
    SEED_DEMO: 'false',
    REQUIRE_STAFF_TOTP: 'false',
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
    ...Object.fromEntries(regionSettings),
  }
}

async function startServers(folder: string, options: WorldOptions): Promise<Pick<FaultWorld, 'control' | 'regions'>> {
  const start = (name: string, ownDisk: boolean, settings: Readonly<Record<string, string>>): Promise<DatabaseServer> =>
    DatabaseServer.start({
      name,
      folder: join(folder, name.toLowerCase()),
      logFile: join(folder, 'log', `${name.toLowerCase()}.log`),
      settings: { ...regionServerSettings, ...settings },
      ownDisk,
    })
  const [control, ...servers] = await Promise.all([
    start('CONTROL', false, {}),
    ...regions.map((region) => start(region, options.ownDisks, options.regionSettings ?? {})),
  ])
  const byRegion = Object.fromEntries(regions.map((region, index) => [region, servers[index]!]))
  return { control, regions: byRegion as FaultWorld['regions'] }
}

/** Starts everything and makes the tenants. What it started before it failed, it ends. */
export async function openWorld(options: WorldOptions): Promise<FaultWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'hyrelog-faults-'))
  // As root, the servers run as somebody else.
  await chmod(folder, 0o711)
  await mkdir(join(folder, 'log'))
  const cleanUps: (() => Promise<unknown>)[] = []
  const close = async (keep: boolean): Promise<void> => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
    if (!keep) await rm(folder, { recursive: true, force: true })
  }
  try {
    const servers = await startServers(folder, options)
    cleanUps.push(() => Promise.all([servers.control, ...Object.values(servers.regions)].map((one) => one.stop())))
    const keys = { controlMaster: newKey(), pepper: newKey() }
    const environment = environmentOf(folder, servers, keys)
    const apis: ApiProcess[] = []
    for (let index = 0; index < apiCount; index++) {
      const api = new ApiProcess({
        port: await freePort(),
        environment,
        logFile: join(folder, 'log', `api-${index + 1}.log`),
        withoutRule: options.withoutRule ?? false,
      })
      apis.push(api)
      cleanUps.push(() => api.kill())
      await api.start()
    }
    const tenants = await makeTenants(servers.control.urlFor('service'), keys)
    return { folder, ...servers, apis, ...tenants, close }
  } catch (error) {
    await close(true)
    throw error
  }
}
