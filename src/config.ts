import { createSecretKey, type KeyObject } from 'node:crypto'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { isRegion, regions, type Region } from './kernel/region.js'
import { settingsProblems, type ObjectStoreSettings } from './objects/object-store-settings.js'
import type { RegionSettings, RegionSettingsOf } from './regions/region-data-store.js'
import { signingKeyFromSeed } from './ledger/signing-key.js'
import { LocalSecretsError, readOrMakeLocalSecrets, type LocalServer, type ServerPasswords } from './local-secrets.js'
import { generalSchema, ownSchema, regionSchema, type logLevels } from './settings-schema.js'

/** PostgreSQL servers that HyreLog starts and stops itself. */
export interface EmbeddedDatabases {
  readonly mode: 'embedded'
  readonly passwords: Readonly<Record<LocalServer, ServerPasswords>>
}

/** PostgreSQL servers of the user's. */
export interface OwnDatabases {
  readonly mode: 'own'
  readonly controlDatabaseUrl: string
  readonly controlOwnerUrl: string
  /** Written to the control database at a start that finds no row of the region there. */
  readonly regions: RegionSettingsOf
}

export interface Config {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  readonly production: boolean
  readonly logLevel: (typeof logLevels)[number]
  /** Absolute. */
  readonly dataDir: string
  readonly seedDemo: boolean
  readonly introspection: boolean
  readonly graphiql: boolean
  /** Addresses and CIDR ranges whose forwarded headers are believed. */
  readonly trustedProxies: readonly string[]
  /** Origins of dashboards on other hosts that may use session cookies. */
  readonly allowedOrigins: readonly string[]
  /** Staff without a second factor may do nothing but enroll one. */
  readonly requireStaffTotp: boolean
  readonly regionDeadlineMs: number
  readonly bodyLimitBytes: number
  /** Schedules of jobs other than their own, by the job's name. */
  readonly jobSchedules: Readonly<Record<string, string>>
  /** Archives also the clear columns as Parquet. */
  readonly archiveParquet: boolean
  /** Opens the internal endpoints; without one they are closed. */
  readonly internalToken: string | undefined
  readonly controlMasterKey: KeyObject
  readonly regionMasterKeys: ReadonlyMap<Region, KeyObject>
  readonly apiKeyPepper: KeyObject
  /** Absolute. */
  readonly keyVaultDir: string
  /** Absolute: where the files of exports are, one folder per region. */
  readonly exportsDir: string
  /** The name under which checkpoints are signed, for ever: a copy of the database has another one, and other keys. */
  readonly logName: string
  /** Ed25519 keys that the operator holds, newest first; other regions' keys are generated and kept in the vault. */
  readonly signingKeys: ReadonlyMap<Region, readonly KeyObject[]>
  readonly databases: EmbeddedDatabases | OwnDatabases
  /** How regions' buckets of cold storage are reached, where the operator says so. */
  readonly coldStorageSettings: ReadonlyMap<Region, ObjectStoreSettings>
}

export interface ConfigProblem {
  /** Name of the variable. */
  readonly name: string
  readonly message: string
}

/** Everything that is wrong with the settings, by name and never with a value: values may be secrets. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  constructor(readonly problems: readonly ConfigProblem[]) {
    super(`HyreLog can't start with these settings:\n${problems.map((p) => `  ${p.name}: ${p.message}`).join('\n')}`)
  }
}

type Environment = Readonly<Record<string, string | undefined>>

const bodyLimitBytesDefault = 16 * 1024 * 1024
const regionDeadlineMsDefault = 2_000
const logNameDefault = 'hyrelog.local'

type RegionValues = z.infer<z.ZodObject<typeof regionSchema>>
type Values = z.infer<z.ZodObject<typeof generalSchema>> & z.infer<z.ZodObject<typeof ownSchema>>

const regionName = (region: Region, suffix: keyof typeof regionSchema): string => `REGION_${region}_${suffix}`

/** Collects what is wrong, so that it can be said at once. */
class Findings {
  readonly problems: ConfigProblem[] = []
  add(name: string, message: string): void {
    if (!this.problems.some((problem) => problem.name === name)) this.problems.push({ name, message })
  }
  failIfAny(): void {
    if (this.problems.length > 0) throw new ConfigError(this.problems)
  }
}

/** Variables that can only be meant for us and that we don't know: a setting that is silently ignored is a wrong one. */
function findUnknown(environment: Environment, findings: Findings): void {
  for (const name of Object.keys(environment)) {
    const [, code, suffix] = /^REGION_([A-Z0-9]+)_(.+)$/.exec(name) ?? []
    const known = suffix !== undefined && suffix in regionSchema
    if (isRegion(code)) {
      const suffixes = Object.keys(regionSchema).join(', ')
      if (!known) findings.add(name, `is no setting of HyreLog; a region has ${suffixes}.`)
    } else if (known) findings.add(name, `names no region; there are ${regions.join(', ')}.`)
    else if (/^CONTROL_\w*(URL|KEY)$/.test(name) && !(name in ownSchema))
      findings.add(name, 'is no setting of HyreLog.')
  }
}

function parse<Shape extends z.ZodRawShape>(
  shape: Shape,
  environment: Environment,
  prefix: string,
  findings: Findings,
): z.infer<z.ZodObject<Shape>> {
  const given: Record<string, string> = {}
  for (const name of Object.keys(shape)) {
    const value = environment[prefix + name]?.trim()
    // Compose files and shells pass variables that were left empty: that is not a choice.
    if (value !== undefined && value !== '') given[name] = value
  }
  const result = z.object(shape).safeParse(given)
  if (result.success) return result.data
  const wrong = new Set<string>()
  for (const issue of result.error.issues) {
    const name = String(issue.path[0])
    wrong.add(name)
    findings.add(prefix + name, issue.message)
  }
  // The rest goes on to the checks of what belongs together.
  const rest = Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name)))
  return z.object(shape).parse(rest)
}

const userOf = (url: string): string => new URL(url).username

function requireAll(
  values: Readonly<Record<string, unknown>>,
  names: readonly string[],
  why: string,
  findings: Findings,
): void {
  for (const name of names) if (values[name] === undefined) findings.add(name, `is missing; ${why}`)
}

const settingSuffixes = {
  endpoint: 'COLD_STORAGE_ENDPOINT',
  region: 'COLD_STORAGE_REGION',
  storageClass: 'COLD_STORAGE_CLASS',
  encryption: 'COLD_STORAGE_ENCRYPTION',
  pathStyle: 'COLD_STORAGE_PATH_STYLE',
  credentials: 'COLD_STORAGE_CREDENTIALS',
} as const satisfies Record<keyof ObjectStoreSettings, keyof typeof regionSchema>

const objectStoreSettingsOf = (values: RegionValues): ObjectStoreSettings =>
  Object.fromEntries(Object.entries(settingSuffixes).map(([setting, suffix]) => [setting, values[suffix]]))

/** Where only the table knows whose storage it is, the store says what is wrong when it is opened. */
function checkColdStorage(region: Region, values: RegionValues, findings: Findings): void {
  if (values.COLD_STORAGE === undefined) return
  for (const { setting, message } of settingsProblems(values.COLD_STORAGE.provider, objectStoreSettingsOf(values)))
    findings.add(regionName(region, settingSuffixes[setting]), message)
}

function checkRegion(region: Region, values: RegionValues, findings: Findings): void {
  const { DATABASE_URL, OWNER_URL, READ_ONLY_URL } = values
  if (
    DATABASE_URL === undefined &&
    OWNER_URL === undefined &&
    READ_ONLY_URL === undefined &&
    values.COLD_STORAGE === undefined
  )
    return
  const why = `REGION_${region}_… needs it.`
  if (DATABASE_URL === undefined) findings.add(regionName(region, 'DATABASE_URL'), `is missing; ${why}`)
  if (OWNER_URL === undefined) findings.add(regionName(region, 'OWNER_URL'), `is missing; ${why}`)
  if (values.MASTER_KEY === undefined) findings.add(regionName(region, 'MASTER_KEY'), `is missing; ${why}`)
  if (DATABASE_URL !== undefined && OWNER_URL !== undefined && userOf(DATABASE_URL) === userOf(OWNER_URL))
    findings.add(regionName(region, 'DATABASE_URL'), 'must log in as another role than the owner.')
}

function readOwn(
  values: Values,
  regionValues: ReadonlyMap<Region, RegionValues>,
  dataDir: string,
  findings: Findings,
): OwnDatabases {
  requireAll(values, [...Object.keys(ownSchema), 'LOG_NAME'], 'CONTROL_DATABASE_URL needs it.', findings)
  const { CONTROL_DATABASE_URL: databaseUrl, CONTROL_OWNER_URL: ownerUrl } = values
  if (databaseUrl !== undefined && ownerUrl !== undefined && userOf(databaseUrl) === userOf(ownerUrl))
    findings.add('CONTROL_DATABASE_URL', 'must log in as another role than the owner.')
  for (const [region, settings] of regionValues) {
    checkRegion(region, settings, findings)
    checkColdStorage(region, settings, findings)
  }
  findings.failIfAny()
  const settings = new Map<Region, RegionSettings>()
  for (const [region, given] of regionValues)
    if (given.DATABASE_URL !== undefined && given.OWNER_URL !== undefined)
      settings.set(region, {
        databaseUrl: given.DATABASE_URL,
        ownerUrl: given.OWNER_URL,
        readOnlyUrl: given.READ_ONLY_URL,
        coldStorage: given.COLD_STORAGE ?? { provider: 'LOCAL', bucket: join(dataDir, 'cold', region.toLowerCase()) },
      })
  return { mode: 'own', controlDatabaseUrl: databaseUrl!, controlOwnerUrl: ownerUrl!, regions: settings }
}

/** What belongs to servers of one's own says nothing to the embedded ones: most likely CONTROL_DATABASE_URL was forgotten. */
function refuseOwn(environment: Environment, findings: Findings): void {
  const names = [
    ...Object.keys(ownSchema),
    ...regions.flatMap((region) => Object.keys(regionSchema).map((suffix) => `REGION_${region}_${suffix}`)),
  ]
  for (const name of names)
    if ((environment[name] ?? '').trim() !== '')
      findings.add(name, 'has no effect without CONTROL_DATABASE_URL, which is not set.')
}

const keyOf = (text: string): KeyObject => createSecretKey(Buffer.from(text, 'base64'))

const signingKeysOf = (regionValues: ReadonlyMap<Region, RegionValues>): Config['signingKeys'] =>
  new Map(
    [...regionValues].flatMap(([region, { SIGNING_KEY: keys }]) =>
      keys === undefined ? [] : [[region, keys.map((key) => signingKeyFromSeed(Buffer.from(key, 'base64')))] as const],
    ),
  )

/** The data directory, absolute; for commands that need nothing else of the settings. */
export const dataDirOf = (environment: Environment): string => resolve(environment['DATA_DIR']?.trim() || '.hyrelog')

/** True where the databases are the user's own and not servers that HyreLog starts. */
export const usesOwnServers = (environment: Environment): boolean =>
  (environment['CONTROL_DATABASE_URL'] ?? '').trim() !== ''

/**
 * The settings, checked as a whole, from the environment and (where HyreLog runs its own PostgreSQL servers) from
 * `DATA_DIR/secrets.json`, which the first start makes. Throws {@link ConfigError} with every problem at once.
 */
export async function readConfig(environment: Environment): Promise<Config> {
  const findings = new Findings()
  findUnknown(environment, findings)
  const values: Values = {
    ...parse(generalSchema, environment, '', findings),
    ...parse(ownSchema, environment, '', findings),
  }
  const regionValues = new Map(
    regions.map((region) => [region, parse(regionSchema, environment, `REGION_${region}_`, findings)] as const),
  )
  const dataDir = dataDirOf(environment)
  if (usesOwnServers(environment)) {
    const databases = readOwn(values, regionValues, dataDir, findings)
    const masterKeys = [...regionValues].flatMap(([region, given]) =>
      given.MASTER_KEY === undefined ? [] : [[region, keyOf(given.MASTER_KEY)] as const],
    )
    return assemble(values, dataDir, databases, {
      controlMasterKey: keyOf(values.CONTROL_MASTER_KEY!),
      regionMasterKeys: new Map(masterKeys),
      apiKeyPepper: keyOf(values.API_KEY_PEPPER!),
      keyVaultDir: resolve(values.KEY_VAULT_DIR!),
      signingKeys: signingKeysOf(regionValues),
      coldStorageSettings: new Map(
        [...regionValues].map(([region, given]) => [region, objectStoreSettingsOf(given)] as const),
      ),
      internalToken: values.INTERNAL_TOKEN,
      // Nobody's own databases get demo tenants, and accounts whose passwords lie in a file, unasked.
      seedDemo: values.SEED_DEMO ?? false,
    })
  }
  refuseOwn(environment, findings)
  findings.failIfAny()
  const secrets = await readOrMakeLocalSecrets(dataDir).catch((error: unknown) => {
    if (!(error instanceof LocalSecretsError)) throw error
    throw new ConfigError([{ name: 'DATA_DIR', message: error.message }])
  })
  return assemble(
    values,
    dataDir,
    { mode: 'embedded', passwords: secrets.passwords },
    {
      controlMasterKey: keyOf(secrets.controlMasterKey),
      regionMasterKeys: new Map(regions.map((region) => [region, keyOf(secrets.regionMasterKeys[region])])),
      apiKeyPepper: keyOf(secrets.apiKeyPepper),
      keyVaultDir: join(dataDir, 'keys'),
      signingKeys: new Map(),
      coldStorageSettings: new Map(),
      internalToken: values.INTERNAL_TOKEN ?? secrets.internalToken,
      seedDemo: values.SEED_DEMO ?? true,
    },
  )
}

type Secrets = Pick<
  Config,
  | 'controlMasterKey'
  | 'regionMasterKeys'
  | 'apiKeyPepper'
  | 'keyVaultDir'
  | 'signingKeys'
  | 'coldStorageSettings'
  | 'internalToken'
  | 'seedDemo'
>

function assemble(values: Values, dataDir: string, databases: Config['databases'], secrets: Secrets): Config {
  const production = values.NODE_ENV === 'production'
  return Object.freeze({
    host: values.HOST ?? '127.0.0.1',
    port: values.PORT ?? 4000,
    production,
    logLevel: values.LOG_LEVEL ?? 'info',
    dataDir,
    exportsDir: join(dataDir, 'exports'),
    introspection: values.INTROSPECTION ?? !production,
    graphiql: values.GRAPHIQL ?? !production,
    trustedProxies: Object.freeze(values.TRUSTED_PROXIES ?? []),
    allowedOrigins: Object.freeze(values.ALLOWED_ORIGINS ?? []),
    requireStaffTotp: values.REQUIRE_STAFF_TOTP ?? production,
    regionDeadlineMs: values.REGION_DEADLINE_MS ?? regionDeadlineMsDefault,
    bodyLimitBytes: values.BODY_LIMIT_BYTES ?? bodyLimitBytesDefault,
    logName: values.LOG_NAME ?? logNameDefault,
    jobSchedules: values.JOB_SCHEDULES ?? {},
    archiveParquet: values.ARCHIVE_PARQUET ?? false,
    databases: Object.freeze(databases),
    ...secrets,
  })
}

/** The settings of this process's environment. */
export const loadConfig = (): Promise<Config> => readConfig(process.env)
