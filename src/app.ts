import type { FastifyInstance } from 'fastify'
import type { GraphQLSchema } from 'graphql'
import { pino, type Logger } from 'pino'
import { ApiKeyUsage } from './auth/api-key-usage.js'
import { authenticate } from './auth/authenticate.js'
import { authenticateSession } from './auth/session.js'
import { visibleCompanies } from './auth/permissions.js'
import { Checkpointer } from './checkpoints/checkpointer.js'
import { publishedKeys } from './checkpoints/published-keys.js'
import { SigningKeys } from './checkpoints/signing-keys.js'
import { SigningKeyVault } from './checkpoints/signing-key-vault.js'
import type { Config } from './config.js'
import { Database } from './db/database.js'
import { NotificationListener } from './db/notification-listener.js'
import { ControlFacts, FACTS_CHANNEL } from './directory/control-facts.js'
import { createDirectoryLoaders } from './directory/directory-loaders.js'
import { controlEntities } from './directory/entities.js'
import { Committers } from './events/committers.js'
import { idempotencyExpiryJob } from './events/idempotency-expiry.job.js'
import { Indexer } from './events/indexer.js'
import { Scheduler } from './jobs/scheduler.js'
import { type Clock, systemClock } from './kernel/clock.js'
import { sessionExpiryJob } from './members/session-expiry.job.js'
import { deriveCursorKey } from './kernel/cursor.js'
import { RegionGateway } from './regions/region-gateway.js'
import { RegionRegistry } from './regions/region-registry.js'
import { ControlSecrets } from './sealing/control-secrets.js'
import { derivedKey } from './sealing/secret-box.js'
import { DirectoryKeyVault } from './sealing/key-vault.js'
import { SubjectKeys } from './sealing/subject-keys.js'
import { buildSchema } from './server/build-schema.js'
import { createHttpServer } from './server/http-server.js'

/** The settings that the app itself needs; starting databases is done before. */
export type AppConfig = Omit<Config, 'databases' | 'dataDir' | 'seedDemo' | 'production'>

export interface AppOptions {
  readonly config: AppConfig
  /** The control database, as the service's role. Migrated already. */
  readonly controlUrl: string
  readonly clock?: Clock
  readonly log?: Logger
  /** Connections per region database. */
  readonly poolMax?: number
  /** How often all chains are looked through for what no commit announced. */
  readonly checkpointSweepMs?: number
}

/** The running service: everything wired, nothing global. */
export interface App {
  readonly fastify: FastifyInstance
  readonly log: Logger
  readonly control: Database
  readonly registry: RegionRegistry
  readonly facts: ControlFacts
  readonly secrets: ControlSecrets
  readonly subjectKeys: SubjectKeys
  readonly committers: Committers
  readonly indexer: Indexer
  readonly checkpointer: Checkpointer
  readonly clock: Clock
  /** Begins to serve; answers the address. */
  listen(): Promise<string>
  /** Takes no more requests, finishes those under way, stops what runs behind them, and closes the databases. */
  close(): Promise<void>
}

/** After this long, connections with requests under way are cut. */
const closeGraceMs = 10_000
const databaseCloseTimeoutMs = 5000

export const createLogger = (level: Config['logLevel']): Logger => pino({ name: 'hyrelog', level, base: null })

/** What runs behind the server, made and not yet started. */
async function makeServices(options: AppOptions, clock: Clock, log: Logger) {
  const { config, controlUrl } = options
  const control = Database.open({ name: 'CONTROL', url: controlUrl, entities: controlEntities })
  const secrets = new ControlSecrets(config.controlMasterKey)
  const registry = await RegionRegistry.open({
    control,
    controlUrl,
    secrets,
    log,
    ...(options.poolMax === undefined ? {} : { poolMax: options.poolMax }),
  })
  const facts = new ControlFacts({ control, secrets, clock })
  const factsListener = new NotificationListener(controlUrl, [FACTS_CHANNEL], {
    onNotification: (_, payload) => {
      facts.notified(payload)
      checkpointer.notified(payload)
    },
    onReset: () => facts.reset(),
  })
  const usage = new ApiKeyUsage({
    control,
    onError: (err) => log.warn({ err }, 'the use of API keys could not be noted'),
  })
  const vault = new DirectoryKeyVault({ directory: config.keyVaultDir, masterKeys: config.regionMasterKeys, clock })
  const subjectKeys = new SubjectKeys({ vault, clock })
  const indexer = new Indexer({
    registry,
    control,
    onFailure: (region, err) => log.warn({ region, err }, 'events could not be indexed; it is tried again'),
  })
  const committers = new Committers({
    registry,
    subjectKeys,
    tagKey: (companyId) => facts.tagKey(companyId),
    onCommitted: (region, chains) => {
      indexer.nudge(region)
      checkpointer.nudge(region, chains)
    },
  })
  const signingKeys = new SigningKeys({
    logName: config.logName,
    vault: new SigningKeyVault({ directory: config.keyVaultDir, masterKeys: config.regionMasterKeys }),
    given: config.signingKeys,
    control,
    clock,
  })
  const checkpointer: Checkpointer = new Checkpointer({
    registry,
    control,
    keys: signingKeys,
    committers: () => committers,
    clock,
    log,
    ...(options.checkpointSweepMs === undefined ? {} : { sweepMs: options.checkpointSweepMs }),
  })
  const scheduler = createScheduler({ registry, control, clock, log })
  return {
    control,
    secrets,
    registry,
    facts,
    factsListener,
    usage,
    subjectKeys,
    indexer,
    committers,
    checkpointer,
    scheduler,
  }
}

type Services = Awaited<ReturnType<typeof makeServices>>

/** The schema over the services. */
function makeSchema(services: Services, config: AppConfig, clock: Clock, log: Logger): GraphQLSchema {
  const { control, secrets, registry, facts, subjectKeys, committers } = services
  const gateway = new RegionGateway(registry)
  return buildSchema({
    reads: {
      facts,
      control,
      gateway,
      clock,
      cursorKey: deriveCursorKey(config.apiKeyPepper),
      regionDeadlineMs: config.regionDeadlineMs,
      report: (err, what) => log.error({ err }, what),
    },
    disclosures: { gateway, subjectKeys, regionDeadlineMs: config.regionDeadlineMs },
    ingest: { facts, committers, clock },
    registry,
    dashboard: { control, facts, secrets, pepper: config.apiKeyPepper, clock },
    signIn: { control, clock, secrets, attemptKey: derivedKey(config.apiKeyPepper, 'hyrelog sign-in attempts') },
  })
}

function makeServer(
  services: Services,
  { config, clock, log, isReady }: { config: AppConfig; clock: Clock; log: Logger; isReady: () => boolean },
): Promise<FastifyInstance> {
  const { control, facts, usage } = services
  return createHttpServer({
    ...config,
    schema: makeSchema(services, config, clock, log),
    log,
    authenticate: (credentials) => authenticate({ facts, pepper: config.apiKeyPepper, usage, clock }, credentials),
    sessions: {
      allowedOrigins: config.allowedOrigins,
      authenticateSession: (token) =>
        authenticateSession({ control, clock, requireStaffTotp: config.requireStaffTotp }, token),
    },
    loadersFor: (viewer) => createDirectoryLoaders({ control, facts, companies: visibleCompanies(viewer) }),
    isReady,
    publishedKeys: () => publishedKeys(control, config.logName),
  })
}

async function stopServices(services: Services, log: Logger): Promise<void> {
  const { control, registry, factsListener, usage, indexer, committers, checkpointer, scheduler } = services
  await committers.drain()
  await Promise.all([scheduler.stop(), indexer.stop(), checkpointer.stop(), factsListener.stop()])
  await usage.stop().catch((err: unknown) => log.warn({ err }, 'the use of API keys could not be noted'))
  await Promise.all([registry.close(databaseCloseTimeoutMs), control.close(databaseCloseTimeoutMs)])
}

/**
 * Wires the service over databases that exist. Nothing is served until `listen`. Throws where the control database can't
 * be read.
 */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, clock = systemClock, log = createLogger(config.logLevel) } = options
  const services = await makeServices(options, clock, log)
  let ready = false
  const fastify = await makeServer(services, { config, clock, log, isReady: () => ready })
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    ready = false
    const impatience = setTimeout(() => fastify.server.closeAllConnections(), closeGraceMs)
    await fastify.close()
    clearTimeout(impatience)
    await stopServices(services, log)
  }
  return {
    ...services,
    fastify,
    log,
    clock,
    async listen() {
      const { factsListener, usage, indexer, checkpointer, scheduler } = services
      for (const service of [factsListener, usage, indexer, checkpointer, scheduler]) service.start()
      const url = await fastify.listen({ host: config.host, port: config.port })
      ready = true
      return url
    },
    close: () => (closing ??= close()),
  }
}

function createScheduler(deps: { registry: RegionRegistry; control: Database; clock: Clock; log: Logger }): Scheduler {
  const { registry, control, clock, log } = deps
  const companyIds = async () =>
    (await control.query<{ id: string }>('select id from company', [], { name: 'company_ids' })).map(({ id }) => id)
  return new Scheduler(
    [sessionExpiryJob({ control, clock }), idempotencyExpiryJob({ registry, clock, companyIds })],
    ({ job, outcome, durationMs, error }) => {
      if (outcome === 'failed') log.error({ job, durationMs, err: error }, 'a job failed')
      else log.info({ job, durationMs, outcome }, 'job')
    },
  )
}
