import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError, readConfig, type ConfigProblem } from '../../src/config.js'
import { Database } from '../../src/db/database.js'
import { RegionRegistry } from '../../src/regions/region-registry.js'
import { loadRegionSettings, saveRegionSettings } from '../../src/regions/region-data-store.store.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { regionProblems, startDatabases } from '../../src/start-databases.js'
import { makeDataFolder, makeLog } from '../harness/data-folder.js'
import { cloneDatabases, createEmptyDatabase, type ClonedDatabases } from '../harness/databases.js'

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

let databases: ClonedDatabases
let env: Record<string, string>
const key = (): string => randomBytes(32).toString('base64')

beforeEach(async () => {
  databases = await cloneDatabases()
  cleanUps.push(databases.drop)
  const folder = await makeDataFolder()
  cleanUps.push(folder.remove)
  const { EU } = databases.regions
  env = {
    DATA_DIR: folder.path,
    KEY_VAULT_DIR: join(folder.path, 'keys'),
    CONTROL_DATABASE_URL: databases.control.databaseUrl,
    CONTROL_OWNER_URL: databases.control.ownerUrl,
    CONTROL_MASTER_KEY: key(),
    API_KEY_PEPPER: key(),
    LOG_NAME: 'audit.example.com',
    REGION_EU_DATABASE_URL: EU.databaseUrl,
    REGION_EU_OWNER_URL: EU.ownerUrl,
    REGION_EU_MASTER_KEY: key(),
  }
})

/** A start of the databases alone, and the regions that the control database knows after it. */
async function start(changes: Record<string, string | undefined> = {}): Promise<string[]> {
  const config = await readConfig({ ...env, ...changes })
  const started = await startDatabases(config, makeLog().log)
  await started.stop()
  const control = Database.open({ name: 'CONTROL', url: started.controlUrl })
  try {
    const known = await loadRegionSettings(control, new ControlSecrets(config.controlMasterKey))
    return [...known].map(([region, settings]) => `${region} ${new URL(settings.databaseUrl).pathname.slice(1)}`)
  } finally {
    await control.close(1_000)
  }
}
async function problemsOf(changes: Record<string, string | undefined>): Promise<readonly ConfigProblem[]> {
  const error: unknown = await start(changes).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ConfigError)
  return (error as ConfigError).problems
}

describe('a start on servers of the user', () => {
  it('migrates an empty control database and writes the regions of the environment to it, the first time only', async () => {
    const fresh = await createEmptyDatabase()
    cleanUps.push(fresh.drop)
    const control = { CONTROL_DATABASE_URL: fresh.databaseUrl, CONTROL_OWNER_URL: fresh.ownerUrl }
    expect(await start(control)).toEqual([`EU ${databases.regions.EU.name}`])
    const moved = {
      REGION_EU_DATABASE_URL: databases.regions.US.databaseUrl,
      REGION_EU_OWNER_URL: databases.regions.US.ownerUrl,
    }
    expect(await start({ ...control, ...moved })).toEqual([`EU ${databases.regions.EU.name}`])
    const without = { REGION_EU_DATABASE_URL: undefined, REGION_EU_OWNER_URL: undefined }
    expect(await start({ ...control, ...without })).toEqual([`EU ${databases.regions.EU.name}`])
  })

  it('names what is wrong with the control database and the key folder at once', async () => {
    const superuserUrl = databases.superuserUrl(databases.control.name)
    await writeFile(join(env['DATA_DIR']!, 'in-the-way'), '')
    expect(
      await problemsOf({
        CONTROL_DATABASE_URL: superuserUrl,
        KEY_VAULT_DIR: join(env['DATA_DIR']!, 'in-the-way/keys'),
      }),
    ).toEqual([
      { name: 'KEY_VAULT_DIR', message: expect.stringContaining('ENOTDIR') },
      { name: 'CONTROL_DATABASE_URL', message: expect.stringContaining('superuser') },
    ])
  })

  it('names a control master key that is not the one of the control database', async () => {
    await start()
    expect(await problemsOf({ CONTROL_MASTER_KEY: key() })).toEqual([
      { name: 'CONTROL_MASTER_KEY', message: expect.stringContaining('is not the key') },
    ])
  })

  it('names an owner that can not log in, without its password', async () => {
    const wrong = new URL(databases.control.ownerUrl)
    wrong.password = 'mistyped'
    const problems = await problemsOf({ CONTROL_OWNER_URL: wrong.href })
    expect(problems).toEqual([{ name: 'CONTROL_OWNER_URL', message: expect.stringContaining('28P01') }])
    expect(JSON.stringify(problems)).not.toContain('mistyped')
  })

  it('writes down no region that can not be used: once the mistakes are corrected, the next start is a first one', async () => {
    const fresh = await createEmptyDatabase()
    cleanUps.push(fresh.drop)
    const control = { CONTROL_DATABASE_URL: fresh.databaseUrl, CONTROL_OWNER_URL: fresh.ownerUrl }
    const { EU, US } = databases.regions
    const nowhere = new URL(US.databaseUrl)
    nowhere.pathname = '/nowhere'
    const problems = await problemsOf({
      ...control,
      REGION_EU_DATABASE_URL: databases.superuserUrl(EU.name),
      REGION_US_DATABASE_URL: nowhere.href,
      REGION_US_OWNER_URL: US.ownerUrl,
      REGION_US_MASTER_KEY: key(),
    })
    expect(problems.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: 'REGION_EU_DATABASE_URL', message: expect.stringContaining('is a superuser') },
      { name: 'REGION_US_DATABASE_URL', message: expect.stringContaining('3D000') },
    ])
    expect(await start(control)).toEqual([`EU ${EU.name}`])
  })

  it('grants nothing to a role that may not serve, so that another one can take its place', async () => {
    const fresh = await createEmptyDatabase()
    cleanUps.push(fresh.drop)
    const control = { CONTROL_DATABASE_URL: fresh.databaseUrl, CONTROL_OWNER_URL: fresh.ownerUrl }
    const { username, pathname } = new URL(fresh.databaseUrl)
    const superuser = new URL(databases.superuserUrl(pathname.slice(1)))
    expect(superuser.username).not.toBe(username)
    expect(await problemsOf({ ...control, CONTROL_DATABASE_URL: superuser.href })).toHaveLength(1)
    expect(await start(control)).toHaveLength(1)
  })

  it('wants at least one region', async () => {
    const none = { REGION_EU_DATABASE_URL: undefined, REGION_EU_OWNER_URL: undefined }
    expect(await problemsOf(none)).toEqual([{ name: 'REGION_<CODE>_DATABASE_URL', message: expect.any(String) }])
  })

  it('names regions without a master key, and roles that own what they serve', async () => {
    const { US } = databases.regions
    const config = await readConfig({
      ...env,
      REGION_US_DATABASE_URL: US.databaseUrl,
      REGION_US_OWNER_URL: US.ownerUrl,
      REGION_US_MASTER_KEY: key(),
    })
    const { controlUrl } = await startDatabases(config, makeLog().log)
    const control = Database.open({ name: 'CONTROL', url: controlUrl })
    await saveRegionSettings(control, new ControlSecrets(config.controlMasterKey), 'US', {
      databaseUrl: databases.superuserUrl(US.name),
      ownerUrl: US.ownerUrl,
      readOnlyUrl: undefined,
      coldStorage: { provider: 'LOCAL', bucket: '/cold' },
    })
    const registry = await RegionRegistry.open({
      control,
      controlUrl,
      secrets: new ControlSecrets(config.controlMasterKey),
      log: makeLog().log,
    })
    cleanUps.push(async () => {
      await registry.close(1_000)
      await control.close(1_000)
    })
    const keyless = {
      ...config,
      regionMasterKeys: new Map([...config.regionMasterKeys].filter(([region]) => region !== 'EU')),
    }
    expect(regionProblems(keyless, registry)).toEqual([
      { name: 'REGION_US_DATABASE_URL', message: expect.stringContaining('superuser') },
      { name: 'REGION_EU_MASTER_KEY', message: expect.stringContaining('missing') },
    ])
  })
})
