import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { Command } from 'commander'
import { afterEach, describe, expect, it } from 'vitest'
import { addAdminRegionCommands } from '../../src/cli/admin-region.js'
import { Database } from '../../src/db/database.js'
import { isAlive, readPostmaster } from '../../src/db/embedded/postmaster-pid.js'
import { Supervisor } from '../../src/db/embedded/supervisor.js'
import { readConfig } from '../../src/config.js'
import { loadRegionSettings } from '../../src/regions/region-data-store.store.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { makeDataFolder, makeLog, makePasswords } from '../harness/data-folder.js'
import { cloneDatabases, createEmptyDatabase, type ClonedDatabases } from '../harness/databases.js'
import { eventually } from '../harness/eventually.js'

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Outcome {
  readonly code: number | undefined
  readonly out: string
  readonly err: string
}

/** What a person at a shell would see. */
async function run(env: Record<string, string>, ...words: string[]): Promise<Outcome> {
  const texts = { out: '', err: '' }
  const sink = (name: keyof typeof texts): NodeJS.WriteStream =>
    new Writable({
      write(chunk: Buffer, _, done) {
        texts[name] += chunk.toString()
        done()
      },
    }) as NodeJS.WriteStream
  const cli = { stdout: sink('out'), stderr: sink('err'), env }
  let code: number | undefined
  const program = new Command('hyrelog').exitOverride().configureOutput({ writeErr: (text) => cli.stderr.write(text) })
  addAdminRegionCommands(program, cli, (given) => {
    code = given
  })
  await program.parseAsync(['admin', 'region', ...words], { from: 'user' }).catch((error: { exitCode?: number }) => {
    code = error.exitCode
  })
  return { code, ...texts }
}

describe('on embedded servers', () => {
  async function superviseEu(): Promise<{ dataDir: string; env: Record<string, string> }> {
    const folder = await makeDataFolder()
    cleanUps.push(folder.remove)
    const supervisor = await Supervisor.start({
      dataDir: folder.path,
      servers: new Map([['EU', makePasswords()]]),
      log: makeLog().log,
      settings: { fsync: 'off' },
      restartDelayMs: 600_000,
    })
    cleanUps.push(() => supervisor.stop())
    return { dataDir: folder.path, env: { DATA_DIR: folder.path } }
  }

  it('stops a region and starts it again, saying what is so', async () => {
    const { dataDir, env } = await superviseEu()
    expect(await run(env, 'list')).toMatchObject({ code: 0, out: expect.stringMatching(/EU +running, process \d+/) })
    expect(await run(env, 'stop', 'eu')).toMatchObject({ code: 0, out: expect.stringContaining('EU is stopped.') })
    expect(readPostmaster(join(dataDir, 'eu'))).toBeUndefined()
    expect(await run(env, 'stop', 'EU')).toMatchObject({ code: 0, out: expect.stringContaining('already') })
    expect((await run(env, 'list')).out).toMatch(/EU +stopped/)
    expect(await run(env, 'start', 'EU')).toMatchObject({ code: 0, out: 'EU is running.\n' })
    expect(readPostmaster(join(dataDir, 'eu'))?.ready).toBe(true)
    expect(await run(env, 'start', 'EU')).toMatchObject({ code: 0, out: expect.stringContaining('already') })
  })

  it('starts a region that died without waiting for the delay', async () => {
    const { dataDir, env } = await superviseEu()
    const { pid } = readPostmaster(join(dataDir, 'eu'))!
    process.kill(pid, 'SIGKILL')
    await eventually('it is dead', () => !isAlive(pid))
    expect(await run(env, 'start', 'EU')).toMatchObject({ code: 0, out: 'EU is running.\n' })
    expect(readPostmaster(join(dataDir, 'eu'))!.pid).not.toBe(pid)
  })

  it('refuses regions that do not exist, and says which do', async () => {
    const { env } = await superviseEu()
    const outcome = await run(env, 'stop', 'MARS')
    expect(outcome.code).not.toBe(0)
    expect(outcome.err).toContain('AU, US, EU, APAC')
  })

  it.each(['stop', 'start'])('says that HyreLog is not running (%s)', async (word) => {
    const folder = await makeDataFolder()
    cleanUps.push(folder.remove)
    await writeFile(join(folder.path, 'hyrelog.pid'), '4194000\n123\n')
    const outcome = await run({ DATA_DIR: folder.path }, word, 'EU')
    expect(outcome.code).toBe(1)
    expect(outcome.err).toContain(`HyreLog is not running on ${folder.path}`)
  })

  it('does not let anybody set what it sets itself', async () => {
    const { env } = await superviseEu()
    const outcome = await run(env, 'set', 'EU', '--cold-storage', 'aws:bucket')
    expect(outcome).toMatchObject({ code: 1, err: expect.stringContaining('CONTROL_DATABASE_URL') })
  })
})

describe('on servers of the user', () => {
  const key = (): string => randomBytes(32).toString('base64')

  async function own(): Promise<{ databases: ClonedDatabases; env: Record<string, string> }> {
    const databases = await cloneDatabases()
    cleanUps.push(databases.drop)
    const folder = await makeDataFolder()
    cleanUps.push(folder.remove)
    return {
      databases,
      env: {
        DATA_DIR: folder.path,
        KEY_VAULT_DIR: join(folder.path, 'keys'),
        CONTROL_DATABASE_URL: databases.control.databaseUrl,
        CONTROL_OWNER_URL: databases.control.ownerUrl,
        CONTROL_MASTER_KEY: key(),
        API_KEY_PEPPER: key(),
        LOG_NAME: 'audit.example.com',
        REGION_EU_MASTER_KEY: key(),
      },
    }
  }
  async function stored(env: Record<string, string>) {
    const config = await readConfig(env)
    const control = Database.open({ name: 'CONTROL', url: env['CONTROL_DATABASE_URL']! })
    try {
      return await loadRegionSettings(control, new ControlSecrets(config.controlMasterKey))
    } finally {
      await control.close(1_000)
    }
  }

  it('fails a region over and recovers it, in the admin log, once each', async () => {
    const { env } = await own()
    const modeOf = async () => {
      const control = Database.open({ name: 'CONTROL', url: env['CONTROL_DATABASE_URL']! })
      const modes = await control.query(
        "select mode, failed_over_at is not null as failed from region_mode where region = 'EU'",
      )
      const actions = await control.query<{ action: string }>('select action from admin_event order by sequence')
      await control.close(1_000)
      return { ...modes[0], actions: actions.map(({ action }) => action) }
    }
    for (let n = 0; n < 2; n++) {
      const outcome = await run(env, 'failover', 'EU', '--reason', 'maintenance')
      expect(outcome).toMatchObject({ code: 0, err: '', out: expect.stringContaining('EU is failed over') })
    }
    expect(await modeOf()).toEqual({ mode: 'CLOSING', failed: true, actions: ['region.failed_over'] })
    for (let n = 0; n < 2; n++) expect(await run(env, 'recover', 'eu', '--reason', 'done')).toMatchObject({ code: 0 })
    expect(await modeOf()).toMatchObject({ failed: false, actions: ['region.failed_over', 'region.failover_ended'] })
    expect(await run(env, 'failover', 'EU', '--reason', 'ask ada@example.com')).toMatchObject({
      code: 1,
      err: expect.stringContaining('leave out addresses'),
    })
    expect((await run(env, 'failover', 'EU')).code).not.toBe(0)
  })

  it('adds a region (migrated, checked), then changes a part of it', async () => {
    const { databases, env } = await own()
    const fresh = await createEmptyDatabase()
    cleanUps.push(fresh.drop)
    const added = await run(
      env,
      'set',
      'EU',
      '--database-url',
      fresh.databaseUrl,
      '--owner-url',
      fresh.ownerUrl,
      '--read-only-url',
      databases.regions.EU.databaseUrl,
      '--cold-storage',
      'aws:eu-cold',
    )
    expect(added).toMatchObject({ code: 0, err: '' })
    expect(added.out).not.toContain(new URL(fresh.databaseUrl).password)
    const settings = {
      databaseUrl: fresh.databaseUrl,
      ownerUrl: fresh.ownerUrl,
      readOnlyUrl: databases.regions.EU.databaseUrl,
      coldStorage: { provider: 'AWS', bucket: 'eu-cold' },
    }
    expect((await stored(env)).get('EU')).toEqual(settings)
    const control = Database.open({ name: 'CONTROL', url: env['CONTROL_DATABASE_URL']! })
    cleanUps.push(() => control.close(1_000))
    expect(await control.query('select action from admin_event')).toEqual([{ action: 'region.data_store_set' }])
    const unreachable = new URL(env['CONTROL_DATABASE_URL']!)
    unreachable.port = '1'
    expect(await run({ ...env, CONTROL_DATABASE_URL: unreachable.href }, 'list')).toMatchObject({ code: 3 })
    const database = Database.open({ name: 'EU', url: fresh.databaseUrl })
    cleanUps.push(() => database.close(1_000))
    expect(await database.query('select sequence from chain_head')).toEqual([])

    expect(await run(env, 'set', 'EU', '--no-read-only', '--cold-storage', 'gcp:moved')).toMatchObject({
      code: 0,
      err: '',
    })
    expect((await stored(env)).get('EU')).toEqual({
      ...settings,
      readOnlyUrl: undefined,
      coldStorage: { provider: 'GCP', bucket: 'moved' },
    })

    const listed = await run(env, 'list')
    expect(listed.out).toMatch(
      new RegExp(`EU +answers, hyrelog_service@127.0.0.1:\\d+/${fresh.name}, cold storage gcp:moved`),
    )
    expect(listed.out).toMatch(/US +not configured/)
    expect(listed.out).not.toContain(new URL(fresh.databaseUrl).password)
  })

  it('takes the URLs from the environment, where nobody else can read them', async () => {
    const { databases, env } = await own()
    const { databaseUrl, ownerUrl } = databases.regions.EU
    const given = { ...env, REGION_EU_DATABASE_URL: databaseUrl, REGION_EU_OWNER_URL: ownerUrl }
    expect(await run(given, 'set', 'EU', '--from-environment')).toMatchObject({ code: 0, err: '' })
    expect((await stored(env)).get('EU')).toMatchObject({ databaseUrl, ownerUrl })
  })

  it('changes nothing when the databases are not fit to be used', async () => {
    const { databases, env } = await own()
    const { databaseUrl, ownerUrl } = databases.regions.EU
    const nowhere = 'postgres://someone:secret@127.0.0.1:1/nothing'
    const attempts: [string[], string][] = [
      [['--database-url', databaseUrl], '--owner-url'],
      [['--database-url', nowhere, '--owner-url', nowhere], "can't be used"],
      [['--database-url', ownerUrl, '--owner-url', ownerUrl], 'owns the database'],
      [['--database-url', databaseUrl, '--owner-url', ownerUrl, '--read-only-url', nowhere], 'read-only database'],
    ]
    for (const [options, reason] of attempts) {
      const outcome = await run(env, 'set', 'EU', ...options)
      expect(outcome).toMatchObject({ code: 1, err: expect.stringContaining(reason) })
      expect(outcome.err).not.toContain('secret')
    }
    expect(await run(env, 'set', 'US', '--database-url', databaseUrl, '--owner-url', ownerUrl)).toMatchObject({
      code: 1,
      err: expect.stringContaining('REGION_US_MASTER_KEY'),
    })
    expect(await run({ ...env, CONTROL_MASTER_KEY: '' }, 'set', 'EU')).toMatchObject({
      code: 1,
      err: expect.stringContaining('CONTROL_MASTER_KEY'),
    })
    expect((await stored(env)).size).toBe(0)
  })
})
