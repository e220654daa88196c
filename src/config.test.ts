import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError, readConfig, type ConfigProblem } from './config.js'

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'hyrelog-config-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

const key = Buffer.alloc(32, 7).toString('base64')
const own = (): Record<string, string> => ({
  DATA_DIR: dataDir,
  CONTROL_DATABASE_URL: 'postgres://service:control-secret@db.example/control',
  CONTROL_OWNER_URL: 'postgres://owner:control-secret@db.example/control',
  CONTROL_MASTER_KEY: key,
  API_KEY_PEPPER: key,
  LOG_NAME: 'audit.example.com',
  KEY_VAULT_DIR: join(dataDir, 'vault'),
  REGION_EU_DATABASE_URL: 'postgres://service:eu-secret@eu.example:5433/eu',
  REGION_EU_OWNER_URL: 'postgres://owner:eu-secret@eu.example:5433/eu',
  REGION_EU_MASTER_KEY: key,
})
async function problemsOf(environment: Record<string, string | undefined>): Promise<readonly ConfigProblem[]> {
  const error: unknown = await readConfig(environment).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ConfigError)
  const { problems, message } = error as ConfigError
  // Whatever was given: no value is repeated.
  for (const value of Object.values(environment))
    if (value !== undefined && value.length > 5 && value !== dataDir) expect(message).not.toContain(value)
  return problems
}
const namesOf = async (environment: Record<string, string | undefined>): Promise<string[]> =>
  (await problemsOf(environment)).map((problem) => problem.name).sort()

describe('with nothing set', () => {
  it('runs servers of its own, for people who try it out', async () => {
    const config = await readConfig({ DATA_DIR: dataDir })
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 4000,
      production: false,
      introspection: true,
      graphiql: true,
      seedDemo: true,
      regionDeadlineMs: 2_000,
      trustedProxies: [],
      keyVaultDir: join(dataDir, 'keys'),
      databases: { mode: 'embedded' },
    })
    expect([...config.regionMasterKeys.keys()]).toEqual(['AU', 'US', 'EU', 'APAC'])
    expect(config.regionMasterKeys.get('AU')!.equals(config.regionMasterKeys.get('EU')!)).toBe(false)
  })

  it('makes its secrets once, for its own eyes', async () => {
    const first = await readConfig({ DATA_DIR: dataDir })
    const second = await readConfig({ DATA_DIR: dataDir })
    expect(second.controlMasterKey.equals(first.controlMasterKey)).toBe(true)
    expect(second.internalToken).toBe(first.internalToken)
    expect(second.databases).toEqual(first.databases)
    expect((await stat(join(dataDir, 'secrets.json'))).mode & 0o777).toBe(0o600)
  })

  it('makes one set of secrets when two start at once', async () => {
    const configs = await Promise.all([1, 2, 3].map(() => readConfig({ DATA_DIR: dataDir })))
    expect(new Set(configs.map((config) => config.internalToken)).size).toBe(1)
  })

  it('refuses to make new secrets beside old data, and damaged ones', async () => {
    await writeFile(join(dataDir, 'control'), '')
    expect(await namesOf({ DATA_DIR: dataDir })).toEqual(['DATA_DIR'])
    await writeFile(join(dataDir, 'secrets.json'), '{"controlMasterKey":')
    expect(await namesOf({ DATA_DIR: dataDir })).toEqual(['DATA_DIR'])
    expect(await readFile(join(dataDir, 'secrets.json'), 'utf8')).toBe('{"controlMasterKey":')
  })

  it('keeps secrets out of what is printed', async () => {
    const config = await readConfig({ DATA_DIR: dataDir })
    const file = JSON.parse(await readFile(join(dataDir, 'secrets.json'), 'utf8')) as { controlMasterKey: string }
    expect(JSON.stringify(config.controlMasterKey)).not.toContain(file.controlMasterKey)
  })
})

describe('in production', () => {
  it('closes what helps attackers unless it is asked for', async () => {
    const closed = await readConfig({ DATA_DIR: dataDir, NODE_ENV: 'production' })
    expect(closed).toMatchObject({ production: true, introspection: false, graphiql: false })
    const opened = await readConfig({ DATA_DIR: dataDir, NODE_ENV: 'production', INTROSPECTION: 'true', GRAPHIQL: '1' })
    expect(opened).toMatchObject({ introspection: true, graphiql: true })
  })
})

describe('with servers of the user', () => {
  it('takes them as they are given', async () => {
    const config = await readConfig({
      ...own(),
      REGION_EU_READ_ONLY_URL: 'postgres://service:x@replica.example/eu',
      REGION_EU_COLD_STORAGE: 'aws:eu-cold',
      TRUSTED_PROXIES: '10.0.0.0/8, ::1',
      PORT: '8080',
    })
    expect(config).toMatchObject({ port: 8080, trustedProxies: ['10.0.0.0/8', '::1'], internalToken: undefined })
    expect(config.databases).toEqual({
      mode: 'own',
      controlDatabaseUrl: own()['CONTROL_DATABASE_URL'],
      controlOwnerUrl: own()['CONTROL_OWNER_URL'],
      regions: new Map([
        [
          'EU',
          {
            databaseUrl: own()['REGION_EU_DATABASE_URL'],
            ownerUrl: own()['REGION_EU_OWNER_URL'],
            readOnlyUrl: 'postgres://service:x@replica.example/eu',
            coldStorage: { provider: 'AWS', bucket: 'eu-cold' },
          },
        ],
      ]),
    })
  })

  it('takes how a region’s cold storage is reached, and refuses what doesn’t go with its vendor', async () => {
    const given = {
      ...own(),
      REGION_EU_COLD_STORAGE: 'aws:eu-cold',
      REGION_EU_COLD_STORAGE_ENDPOINT: 'https://objects.example:8443',
      REGION_EU_COLD_STORAGE_REGION: 'eu-central-1',
      REGION_EU_COLD_STORAGE_CLASS: 'GLACIER',
      REGION_EU_COLD_STORAGE_ENCRYPTION: 'kms:alias/archive',
      REGION_EU_COLD_STORAGE_PATH_STYLE: 'false',
      REGION_EU_COLD_STORAGE_CREDENTIALS: 'id:secret',
    }
    expect((await readConfig(given)).coldStorageSettings.get('EU')).toEqual({
      endpoint: 'https://objects.example:8443',
      region: 'eu-central-1',
      storageClass: 'GLACIER',
      encryption: 'kms:alias/archive',
      pathStyle: false,
      credentials: 'id:secret',
    })
    expect(await namesOf({ ...given, REGION_EU_COLD_STORAGE: 'gcp:eu-cold' })).toEqual([
      'REGION_EU_COLD_STORAGE_ENCRYPTION',
      'REGION_EU_COLD_STORAGE_PATH_STYLE',
      'REGION_EU_COLD_STORAGE_REGION',
    ])
  })

  it('needs no URL of a region that the control database knows already, only its key', async () => {
    const { REGION_EU_DATABASE_URL: _, REGION_EU_OWNER_URL: __, ...rest } = own()
    const config = await readConfig(rest)
    expect(config.databases).toMatchObject({ mode: 'own', regions: new Map() })
    expect([...config.regionMasterKeys.keys()]).toEqual(['EU'])
  })

  it.each([
    'LOG_NAME',
    'CONTROL_OWNER_URL',
    'CONTROL_MASTER_KEY',
    'API_KEY_PEPPER',
    'KEY_VAULT_DIR',
    'REGION_EU_OWNER_URL',
    'REGION_EU_DATABASE_URL',
    'REGION_EU_MASTER_KEY',
  ])('names %s when it is missing', async (name) => {
    expect(await namesOf({ ...own(), [name]: undefined })).toEqual([name])
    // What a compose file leaves empty is missing too.
    expect(await namesOf({ ...own(), [name]: ' ' })).toEqual([name])
  })

  it.each([
    ['CONTROL_DATABASE_URL', 'mysql://service:password@db.example/control'],
    ['CONTROL_DATABASE_URL', 'postgres://db.example/control'],
    ['CONTROL_DATABASE_URL', 'postgres://owner:password@db.example/control'],
    ['REGION_EU_DATABASE_URL', 'postgres://owner:password@eu.example/eu'],
    ['REGION_EU_DATABASE_URL', 'not a url'],
    ['REGION_EU_READ_ONLY_URL', 'postgres://service@eu.example'],
    ['REGION_EU_COLD_STORAGE', 'floppy:disk'],
    ['REGION_EU_COLD_STORAGE', 'local:cold'],
    ['REGION_EU_COLD_STORAGE', 'aws:cold/eu'],
    ['REGION_EU_COLD_STORAGE', 'azure:EU'],
    ['REGION_EU_COLD_STORAGE_ENDPOINT', 'https://user:password@objects.example'],
    ['REGION_EU_COLD_STORAGE_CLASS', 'STANDARD'],
    ['REGION_EU_COLD_STORAGE_ENCRYPTION', 'rot13'],
    ['REGION_EU_MASTER_KEY', Buffer.alloc(31).toString('base64')],
    ['CONTROL_MASTER_KEY', 'x'.repeat(44)],
    ['API_KEY_PEPPER', Buffer.alloc(16).toString('base64')],
    ['REGION_XX_DATABASE_URL', 'postgres://service:password@xx.example/xx'],
    ['REGION_EU_DATABSE_URL', 'postgres://service:password@eu.example/eu'],
    ['CONTROL_DATABSE_URL', 'postgres://service:password@eu.example/eu'],
    ['INTERNAL_TOKEN', 'too short'],
    ['LOG_NAME', 'No such name!'],
    ['REDIS_URL', 'redis.example:6379'],
    ['REDIS_URL', 'http://redis.example:6379'],
    ['REDIS_URL', 'redis://:secret@redis.example/cache'],
    ['REGION_EU_SIGNING_KEY', Buffer.alloc(31).toString('base64')],
  ])('names %s when it is wrong (%s)', async (name, value) => {
    expect(await namesOf({ ...own(), [name]: value })).toEqual([name])
  })

  it('names everything that is wrong at once', async () => {
    expect(
      await namesOf({
        ...own(),
        PORT: '70000',
        LOG_LEVEL: 'loud',
        TRUSTED_PROXIES: '10.0.0.0/8,proxy.example',
        CONTROL_OWNER_URL: undefined,
        CONTROL_MASTER_KEY: 'not base64!',
        REGION_EU_OWNER_URL: undefined,
        REGION_US_DATABASE_URL: 'postgres://service:password@us.example/us',
        REGION_MARS_OWNER_URL: 'postgres://service:password@mars.example/us',
        SEED_DEMO: 'perhaps',
      }),
    ).toEqual([
      'CONTROL_MASTER_KEY',
      'CONTROL_OWNER_URL',
      'LOG_LEVEL',
      'PORT',
      'REGION_EU_OWNER_URL',
      'REGION_MARS_OWNER_URL',
      'REGION_US_MASTER_KEY',
      'REGION_US_OWNER_URL',
      'SEED_DEMO',
      'TRUSTED_PROXIES',
    ])
  })

  it.each(['redis://redis.example', 'redis://user:secret@redis.example:6380/2', 'rediss://:secret@redis.example'])(
    'takes %s as REDIS_URL, with servers of its own too',
    async (url) => {
      expect((await readConfig({ ...own(), REDIS_URL: url })).redisUrl).toBe(url)
      expect((await readConfig({ DATA_DIR: dataDir, REDIS_URL: url })).redisUrl).toBe(url)
      expect((await readConfig({ DATA_DIR: dataDir })).redisUrl).toBeUndefined()
    },
  )

  it('asks for CONTROL_DATABASE_URL where its companions come without it', async () => {
    expect(
      await namesOf({ DATA_DIR: dataDir, REGION_EU_MASTER_KEY: key, CONTROL_OWNER_URL: own()['CONTROL_OWNER_URL'] }),
    ).toEqual(['CONTROL_OWNER_URL', 'REGION_EU_MASTER_KEY'])
  })
})
