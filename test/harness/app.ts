import { createSecretKey } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino, type Logger } from 'pino'
import { type App, type AppConfig, type AppOptions, createApp } from '../../src/app.js'
import { Database } from '../../src/db/database.js'
import type { CompanyFacts, ProjectFacts, WorkspaceFacts } from '../../src/directory/facts.js'
import { controlEntities } from '../../src/directory/entities.js'
import { type Clock, systemClock } from '../../src/kernel/clock.js'
import { encodeId } from '../../src/kernel/ids.js'
import { type Region, regions } from '../../src/kernel/region.js'
import { recordRegionSettings } from '../../src/regions/region-data-store.store.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { createApiKey } from '../../src/workspaces/create-api-key.js'
import { createCompany } from '../../src/workspaces/create-company.js'
import { createProject } from '../../src/workspaces/create-project.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { cloneDatabases, type ClonedDatabases } from './databases.js'

export interface WorldOptions {
  readonly config?: Partial<AppConfig>
  readonly clock?: Clock
  readonly log?: Logger
  /** The database URL of a region instead of the cloned one's, such as one that leads through a proxy. */
  readonly regionUrl?: (region: Region, url: string) => string
  readonly controlUrl?: (url: string) => string
  readonly readOnlyUrl?: (region: Region, url: string) => string | undefined
  readonly checkpointSweepMs?: number
  readonly exportLeaseMs?: number
  readonly openStore?: AppOptions['openStore']
  readonly replicates?: boolean
  /** True: as the service does it, what a region owes that was down is erased when it is back. Tests call for it themselves. */
  readonly erasesOwed?: boolean
  readonly homeLeaseTimes?: AppOptions['homeLeaseTimes']
  readonly failover?: AppOptions['failover']
}

export interface GraphqlAnswer {
  readonly status: number
  readonly headers: Headers
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  readonly data: any
  readonly errors: readonly GraphqlAnswerError[] | undefined
}

export interface GraphqlAnswerError {
  readonly message: string
  readonly path?: readonly (string | number)[]
  readonly extensions: {
    readonly code: string
    readonly field?: string
    readonly faults?: readonly { field: string; message: string }[]
    readonly regions?: readonly string[]
    readonly requestId?: string
    readonly retryAfterMs?: number
    readonly archiveObjectIds?: readonly string[]
  }
}

export interface WorldWorkspace extends WorkspaceFacts {
  /** The API id. */
  readonly gid: string
  /** A key that records and reads here. */
  readonly key: string
  readonly project: ProjectFacts & { readonly gid: string }
}

export interface WorldCompany extends CompanyFacts {
  readonly gid: string
  /** A key of the company. */
  readonly key: string
  readonly keyGid: string
  readonly in: Readonly<Record<Region, WorldWorkspace>>
}

/** The real service on a port of its own, over databases of its own, with two companies that must not see each other. */
export interface World {
  readonly url: string
  readonly app: App
  readonly databases: ClonedDatabases
  readonly keyVaultDir: string
  /** Primary region AU; a workspace with a project in each region. */
  readonly acme: WorldCompany
  /** The other tenant; primary region EU. */
  readonly globex: WorldCompany
  gql(key: string | null, query: string, variables?: Record<string, unknown>): Promise<GraphqlAnswer>
  /** Records events; answers their API ids, in order. */
  record(workspace: WorldWorkspace, events: readonly Record<string, unknown>[]): Promise<string[]>
  /** Makes another key of a company. */
  makeKey(input: Parameters<typeof createApiKey>[1]): Promise<{ key: string; gid: string }>
  /** Another process of the same service, over the same databases and keys. Whoever starts it closes it first. */
  another(
    options?: Pick<
      WorldOptions,
      'config' | 'controlUrl' | 'erasesOwed' | 'failover' | 'log' | 'checkpointSweepMs' | 'exportLeaseMs'
    >,
  ): Promise<{ app: App; url: string }>
  close(): Promise<void>
}

const fixedKey = (fill: number) => createSecretKey(Buffer.alloc(32, fill))
// TEST_LOG_LEVEL=error shows what the service logs.
const silent = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' })
export const pepper = fixedKey(2)
const eventsPerCall = 500

const testConfig: Omit<AppConfig, 'keyVaultDir' | 'exportsDir'> = {
  host: '127.0.0.1',
  port: 0,
  logLevel: 'silent',
  introspection: true,
  graphiql: true,
  trustedProxies: [],
  allowedOrigins: [],
  requireStaffTotp: false,
  archiveParquet: false,
  regionDeadlineMs: 5000,
  bodyLimitBytes: 16 * 1024 * 1024,
  internalToken: undefined,
  redisUrl: undefined,
  autoFailover: false,
  // What a check a minute ago found would answer for what a test has just done to a region.
  // And an erasure is carried out, and replicas are compared with their home, when a test says so.
  jobSchedules: {
    health: '0 0 1 1 *',
    gdpr: '0 0 1 1 *',
    replication: '0 0 1 1 *',
    retention: '0 0 1 1 *',
    archive: '0 0 1 1 *',
    'cold-archive': '0 0 1 1 *',
    restore: '0 0 1 1 *',
    'verify-archive': '0 0 1 1 *',
  },
  controlMasterKey: fixedKey(1),
  regionMasterKeys: new Map(regions.map((region, index) => [region, fixedKey(10 + index)])),
  apiKeyPepper: pepper,
  logName: 'test.local',
  coldStorageSettings: new Map(),
  signingKeys: new Map(),
}

/** Sends one GraphQL request as a client would. */
export async function sendGraphql(
  url: string,
  key: string | null,
  query: string,
  variables: Record<string, unknown> = {},
): Promise<GraphqlAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = (await response.json()) as { data?: unknown; errors?: GraphqlAnswerError[] }
  return { status: response.status, headers: response.headers, data, errors }
}

async function describeRegions(databases: ClonedDatabases, options: WorldOptions, folder: string): Promise<void> {
  const control = Database.open({ name: 'CONTROL', url: databases.control.databaseUrl, entities: controlEntities })
  const settings = regions.map((region) => {
    const { databaseUrl } = databases.regions[region]
    return [
      region,
      {
        databaseUrl: options.regionUrl?.(region, databaseUrl) ?? databaseUrl,
        ownerUrl: undefined,
        readOnlyUrl: options.readOnlyUrl?.(region, databaseUrl),
        coldStorage: { provider: 'LOCAL', bucket: join(folder, 'cold', region.toLowerCase()) },
      },
    ] as const
  })
  await recordRegionSettings(control, new ControlSecrets(testConfig.controlMasterKey), new Map(settings), 'missing')
  await control.close(2000)
}

async function makeCompany(app: App, name: string, dataRegion: Region): Promise<WorldCompany> {
  const { control, secrets } = app
  const clock = systemClock
  const company = await createCompany({ control, secrets, clock }, { name, dataRegion, retentionDays: 365 })
  const keyOf = (input: Partial<Parameters<typeof createApiKey>[1]>) =>
    createApiKey({ control, pepper, clock }, { companyId: company.id, name: 'key', scope: 'COMPANY', ...input })
  const workspaces: [Region, WorldWorkspace][] = []
  for (const region of regions) {
    const input = { companyId: company.id, name: `${name} ${region}`, dataRegion: region }
    const workspace = await createWorkspace({ control, clock }, input)
    const project = await createProject({ control, clock }, { workspaceId: workspace.id, name: `Project ${region}` })
    const { secret } = await keyOf({ scope: 'WORKSPACE', workspaceId: workspace.id })
    const gid = encodeId('workspace', workspace.id)
    workspaces.push([
      region,
      { ...workspace, gid, key: secret, project: { ...project, gid: encodeId('project', project.id) } },
    ])
  }
  const { secret, apiKey } = await keyOf({})
  const inRegion = Object.fromEntries(workspaces) as Record<Region, WorldWorkspace>
  return {
    ...company,
    gid: encodeId('company', company.id),
    key: secret,
    keyGid: encodeId('apiKey', apiKey.id),
    in: inRegion,
  }
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const databases = await cloneDatabases()
  const vault = await mkdtemp(join(tmpdir(), 'hyrelog-vault-'))
  await chmod(vault, 0o711)
  await describeRegions(databases, options, vault)
  const { databaseUrl } = databases.control
  const start = (own: WorldOptions): Promise<App> =>
    createApp({
      config: { ...testConfig, keyVaultDir: vault, exportsDir: join(vault, 'exports'), ...own.config },
      controlUrl: own.controlUrl?.(databaseUrl) ?? databaseUrl,
      log: own.log ?? silent,
      poolMax: 6,
      ...(options.clock === undefined ? {} : { clock: options.clock }),
      ...(own.checkpointSweepMs === undefined ? {} : { checkpointSweepMs: own.checkpointSweepMs }),
      ...(own.replicates === undefined ? {} : { replicates: own.replicates }),
      erasesOwed: own.erasesOwed ?? false,
      ...(own.exportLeaseMs === undefined ? {} : { exportLeaseMs: own.exportLeaseMs }),
      ...(options.openStore === undefined ? {} : { openStore: options.openStore }),
      ...(own.homeLeaseTimes === undefined ? {} : { homeLeaseTimes: own.homeLeaseTimes }),
      ...(own.failover === undefined ? {} : { failover: own.failover }),
    })
  const app = await start(options)
  const acme = await makeCompany(app, 'Acme', 'AU')
  const globex = await makeCompany(app, 'Globex', 'EU')
  const url = `${await app.listen()}/graphql`
  const gql: World['gql'] = (key, query, variables) => sendGraphql(url, key, query, variables)
  return {
    url,
    app,
    databases,
    keyVaultDir: vault,
    acme,
    globex,
    gql,
    async record(workspace, events) {
      const ids: string[] = []
      for (let at = 0; at < events.length; at += eventsPerCall) {
        const answer = await gql(
          workspace.key,
          'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId } } }',
          { input: { events: events.slice(at, at + eventsPerCall) } },
        )
        if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
        ids.push(...answer.data.ingestEvents.receipts.map((receipt: { eventId: string }) => receipt.eventId))
      }
      return ids
    },
    async makeKey(input) {
      const { secret, apiKey } = await createApiKey({ control: app.control, pepper, clock: systemClock }, input)
      return { key: secret, gid: encodeId('apiKey', apiKey.id) }
    },
    async another(own = {}) {
      const second = await start({ ...options, ...own })
      return { app: second, url: `${await second.listen()}/graphql` }
    },
    async close() {
      await app.close()
      await databases.drop()
      await rm(vault, { recursive: true, force: true })
    },
  }
}
