import { createSecretKey, randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Database } from '../../src/db/database.js'
import { regions, type Region } from '../../src/kernel/region.js'
import type { RegionSettings } from '../../src/regions/region-data-store.js'
import {
  loadRegionSettings,
  recordRegionSettings,
  saveRegionSettings,
} from '../../src/regions/region-data-store.store.js'
import { RegionRegistry, type RegionRegistryOptions } from '../../src/regions/region-registry.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { cloneDatabases, createEmptyDatabase, type ClonedDatabases, type DatabaseUrls } from '../harness/databases.js'
import { makeLog, type LogLine } from '../harness/data-folder.js'
import { eventually } from '../harness/eventually.js'

let databases: ClonedDatabases
let control: Database
let secrets: ControlSecrets
const cleanUps: (() => Promise<unknown>)[] = []

const settingsOf = (urls: DatabaseUrls, more: Partial<RegionSettings> = {}): RegionSettings => ({
  databaseUrl: urls.databaseUrl,
  ownerUrl: urls.ownerUrl,
  readOnlyUrl: undefined,
  coldStorage: { provider: 'LOCAL', bucket: '/cold' },
  ...more,
})
const save = (region: Region, settings: RegionSettings): Promise<void> =>
  saveRegionSettings(control, secrets, region, settings)

async function open(
  options: Partial<RegionRegistryOptions> = {},
): Promise<{ registry: RegionRegistry; lines: LogLine[] }> {
  const { log, lines } = makeLog()
  const registry = await RegionRegistry.open({
    control,
    controlUrl: databases.control.databaseUrl,
    secrets,
    log,
    retryMs: 100,
    ...options,
  })
  cleanUps.push(() => registry.close(1_000))
  return { registry, lines }
}
const nameOf = (registry: RegionRegistry, region: Region): Promise<string> =>
  registry.use(region, async ({ database }) => {
    const [row] = await database.query<{ name: string }>('select current_database() as name')
    return row!.name
  })
async function empty(): Promise<DatabaseUrls> {
  const made = await createEmptyDatabase()
  cleanUps.push(made.drop)
  return made
}

beforeAll(async () => {
  databases = await cloneDatabases()
  control = Database.open({ name: 'CONTROL', url: databases.control.databaseUrl })
})
beforeEach(async () => {
  secrets = new ControlSecrets(createSecretKey(randomBytes(32)))
  const owner = Database.open({ name: 'CONTROL', url: databases.control.ownerUrl })
  await owner.query('delete from region_data_store')
  await owner.close(1_000)
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})
afterAll(async () => {
  await control.close(1_000)
  await databases.drop()
})

describe('what is configured', () => {
  it('is listed in the order of the kernel, and nothing else can be had', async () => {
    await save('EU', settingsOf(databases.regions.EU))
    await save('AU', settingsOf(databases.regions.AU, { coldStorage: { provider: 'AWS', bucket: 'au-cold' } }))
    const { registry } = await open()
    expect(registry.list().map((handle) => handle.region)).toEqual(regions.filter((r) => r === 'AU' || r === 'EU'))
    expect(registry.get('AU').coldStorage).toEqual({ provider: 'AWS', bucket: 'au-cold' })
    expect(registry.find('US')).toBeUndefined()
    expect(() => registry.get('US')).toThrow(
      expect.objectContaining({ code: 'REGION_UNAVAILABLE', details: { regions: ['US'] } }),
    )
    await expect(registry.use('US', async () => 1)).rejects.toMatchObject({ code: 'REGION_UNAVAILABLE' })
    expect(await nameOf(registry, 'EU')).toBe(databases.regions.EU.name)
  })

  it('is stored sealed: neither passwords nor hosts can be read from the table', async () => {
    await save('EU', settingsOf(databases.regions.EU, { readOnlyUrl: databases.regions.AU.databaseUrl }))
    const [row] = await control.query<Record<string, unknown>>('select * from region_data_store')
    const bytes = Buffer.concat(Object.values(row!).filter((value) => Buffer.isBuffer(value)))
    expect(bytes.length).toBeGreaterThan(0)
    for (const part of ['postgres', '127.0.0.1', databases.regions.EU.name]) expect(bytes.includes(part)).toBe(false)
  })

  it('can not be read with another key, and the start says so', async () => {
    await save('EU', settingsOf(databases.regions.EU))
    secrets = new ControlSecrets(createSecretKey(randomBytes(32)))
    await expect(open()).rejects.toThrow('database_url of region EU')
  })

  it('is taken from the settings of a start where it is missing, or where it changed, and not announced otherwise', async () => {
    const given = new Map([['EU' as const, settingsOf(databases.regions.EU)]])
    await recordRegionSettings(control, secrets, given, 'missing')
    const [first] = await control.query('select database_url_sealed from region_data_store')
    await recordRegionSettings(control, secrets, given, 'changed')
    expect((await control.query('select database_url_sealed from region_data_store'))[0]).toEqual(first)
    const moved = new Map([['EU' as const, settingsOf(databases.regions.AU)]])
    await recordRegionSettings(control, secrets, moved, 'missing')
    expect((await loadRegionSettings(control, secrets)).get('EU')).toEqual(given.get('EU'))
    await recordRegionSettings(control, secrets, moved, 'changed')
    expect((await loadRegionSettings(control, secrets)).get('EU')).toEqual(moved.get('EU'))
  })
})

describe('a change', () => {
  it('is in use at once when it is announced: added, moved, removed', async () => {
    const { registry } = await open()
    expect(registry.list()).toEqual([])
    await save('EU', settingsOf(databases.regions.EU))
    await eventually('EU is there', () => registry.find('EU') !== undefined)
    await eventually('EU answers', () =>
      nameOf(registry, 'EU').then(
        (name) => name === databases.regions.EU.name,
        () => false,
      ),
    )
    await save('EU', settingsOf(databases.regions.US))
    await eventually('EU has moved', async () => (await nameOf(registry, 'EU')) === databases.regions.US.name)
    const owner = Database.open({ name: 'CONTROL', url: databases.control.ownerUrl })
    await owner.query('delete from region_data_store')
    await owner.close(1_000)
    await eventually('EU is gone', () => registry.find('EU') === undefined)
  })

  it('is found without being announced', async () => {
    const { registry } = await open({ pollMs: 100 })
    const silent = new Client({ connectionString: databases.superuserUrl(databases.control.name) })
    await silent.connect()
    await silent.query(`set session_replication_role = 'replica'`)
    await silent.query(`insert into region_data_store values ('EU', $1, null, null, 'LOCAL', '/cold', now())`, [
      secrets.sealRegionUrl('EU', 'database_url', databases.regions.EU.databaseUrl),
    ])
    await silent.end()
    await eventually('EU is there', () => registry.find('EU') !== undefined)
    const answer = (): Promise<string | undefined> => nameOf(registry, 'EU').catch(() => undefined)
    expect(await eventually('EU answers', answer)).toBe(databases.regions.EU.name)
  })

  it('does not disturb who still works with the old database, which is closed when the last one is done', async () => {
    await save('EU', settingsOf(databases.regions.EU))
    const { registry } = await open()
    const old = registry.get('EU').database
    let finish: () => void = () => undefined
    const held = new Promise<void>((resolve) => (finish = resolve))
    const work = registry.use('EU', async ({ database }) => {
      await held
      return (await database.query<{ name: string }>('select current_database() as name'))[0]!.name
    })
    await save('EU', settingsOf(databases.regions.US))
    await eventually('EU has moved', async () => (await nameOf(registry, 'EU')) === databases.regions.US.name)
    finish()
    expect(await work).toBe(databases.regions.EU.name)
    await eventually('the old database is closed', () =>
      old.query('select 1').then(
        () => false,
        () => true,
      ),
    )
  })

  it('that can not be reached leaves the old one in use and is said in the log, once', async () => {
    await save('EU', settingsOf(databases.regions.EU))
    const { registry, lines } = await open({ pollMs: 100 })
    await save(
      'EU',
      settingsOf(databases.regions.EU, {
        databaseUrl: 'postgres://a:secret@127.0.0.1:1/x',
        ownerUrl: 'postgres://b:secret@127.0.0.1:1/x',
      }),
    )
    await eventually('it is said', () => lines.some((line) => line.message.includes('old ones stay in use')))
    expect(await nameOf(registry, 'EU')).toBe(databases.regions.EU.name)
    // A change that works comes after it.
    await save('EU', settingsOf(databases.regions.US))
    await eventually('EU has moved', async () => (await nameOf(registry, 'EU')) === databases.regions.US.name)
    expect(lines.filter((line) => line.message.includes('old ones stay in use'))).toHaveLength(1)
    expect(JSON.stringify(lines)).not.toContain('secret')
  })

  it('to a role that owns the tables is refused', async () => {
    await save('EU', settingsOf(databases.regions.EU))
    const { registry, lines } = await open()
    await save('EU', settingsOf(databases.regions.US, { databaseUrl: databases.regions.US.ownerUrl }))
    const line = await eventually('it is said', () => lines.find((one) => one.message.includes('old ones stay in use')))
    expect(line.facts['problem']).toContain('owns the database')
    expect(await nameOf(registry, 'EU')).toBe(databases.regions.EU.name)
  })

  it('of the cold storage alone is taken over too', async () => {
    await save('EU', settingsOf(databases.regions.EU))
    const { registry } = await open()
    await save('EU', settingsOf(databases.regions.EU, { coldStorage: { provider: 'GCP', bucket: 'eu-cold' } }))
    await eventually('it is known', () => registry.get('EU').coldStorage.bucket === 'eu-cold')
    expect(registry.get('EU').coldStorage.provider).toBe('GCP')
  })
})

describe('at a start', () => {
  it('migrates a region that is empty, before anything is asked of it', async () => {
    await save('EU', settingsOf(await empty()))
    const { registry } = await open()
    const rows = await registry.use('EU', ({ database }) => database.query('select sequence from chain_head'))
    expect(rows).toEqual([])
  })

  it('is not held up by a region that is down; that one is migrated when it comes back, before its first use', async () => {
    const late = await empty()
    const admin = new Client({ connectionString: databases.superuserUrl('postgres') })
    await admin.connect()
    cleanUps.push(() => admin.end())
    await admin.query(`alter database ${late.name} connection limit 0`)
    await save('AU', settingsOf(databases.regions.AU))
    await save('EU', settingsOf(late))
    const { registry, lines } = await open()
    expect(await nameOf(registry, 'AU')).toBe(databases.regions.AU.name)
    expect(registry.find('EU')).toBeDefined()
    await expect(nameOf(registry, 'EU')).rejects.toMatchObject({ kind: 'unreachable' })
    expect(registry.problems).toEqual([])
    await admin.query(`alter database ${late.name} connection limit -1`)
    await eventually('EU serves', () =>
      registry
        .use('EU', ({ database }) => database.query('select sequence from chain_head'))
        .then(
          () => true,
          (error: { kind?: string }) => {
            // Never a table that is missing: nothing is sent before it is there.
            expect(error.kind).toBe('unreachable')
            return false
          },
        ),
    )
    expect(lines.some((line) => line.message === 'region was migrated')).toBe(true)
  })

  it('reads from the read-only server of a region whose primary is down', async () => {
    await save(
      'EU',
      settingsOf(databases.regions.EU, {
        databaseUrl: 'postgres://a:b@127.0.0.1:1/x',
        ownerUrl: undefined,
        readOnlyUrl: databases.regions.EU.databaseUrl,
      }),
    )
    const { registry } = await open()
    const rows = await registry.use('EU', ({ database }) =>
      database.transaction({ readOnly: true, from: 'readOnly', timeoutMs: 2_000 }, (tx) => tx.query('select 1 as one')),
    )
    expect(rows).toEqual([{ one: 1 }])
    expect(registry.get('EU').database.hasReadOnly).toBe(true)
  })

  it.each([
    ['a superuser', (name: string) => databases.superuserUrl(name), 'is a superuser'],
    ['the owner', () => databases.regions.EU.ownerUrl, 'owns the database'],
  ])('names a region that would be served by %s', async (_, urlOf, problem) => {
    await save(
      'EU',
      settingsOf(databases.regions.EU, { databaseUrl: urlOf(databases.regions.EU.name), ownerUrl: undefined }),
    )
    const { registry } = await open()
    expect(registry.problems).toEqual([{ region: 'EU', problem: expect.stringContaining(problem) }])
    await expect(nameOf(registry, 'EU')).rejects.toMatchObject({ kind: 'unreachable' })
  })
})
