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
import { Indexer } from './events/indexer.js'
import { ExportRunner } from './exports/export-runner.js'
import { openDownload } from './exports/open-download.js'
import { noteSigners } from './exports/note-signers.js'
import { ArchiveAlarms } from './archive/archive-alarms.js'
import type { ArchiveDeps } from './archive/archive-deps.js'
import { ArchiveFigures } from './archive/archive-figures.js'
import { ArchiveReader } from './archive/archive-reader.js'
import { readArchiveFigures } from './archive/archive-object.store.js'
import { BucketStores, type OpenStore } from './archive/bucket-stores.js'
import type { LeaseTimes } from './jobs/job-runner.js'
import { openObjectStore } from './objects/open-object-store.js'
import type { Scheduler } from './jobs/scheduler.js'
import { type Clock, systemClock } from './kernel/clock.js'
import { deriveCursorKey } from './kernel/cursor.js'
import { isRegion, regions } from './kernel/region.js'
import { RegionGateway } from './regions/region-gateway.js'
import { RegionHealth } from './regions/region-health.js'
import { RegionRegistry } from './regions/region-registry.js'
import { REGION_STATE_CHANNEL } from './regions/region-state.js'
import { ControlSecrets } from './sealing/control-secrets.js'
import { derivedKey } from './sealing/secret-box.js'
import { DirectoryKeyVault } from './sealing/key-vault.js'
import { SubjectKeys } from './sealing/subject-keys.js'
import { buildSchema } from './server/build-schema.js'
import { ChainAlarms } from './verification/chain-alarms.js'
import { VerificationSlots } from './verification/verification-slots.js'
import type { VerifyChainDeps } from './verification/verify-chain.js'
import { createHttpServer } from './server/http-server.js'
import { makeScheduler } from './make-scheduler.js'
import { loadRegionSettings } from './regions/region-data-store.store.js'
import { ERASURE_CHANNEL } from './gdpr/erasure-work.store.js'
import type { ErasureDeps } from './gdpr/erasure-deps.js'
import { createMetrics, type Metrics } from './server/metrics.js'

/** The settings that the app itself needs; starting databases is done before. */
export type AppConfig = Omit<Config, 'databases' | 'dataDir' | 'seedDemo' | 'production'>

export interface AppOptions {
  readonly config: AppConfig
  /** The control database, as the service's role. Migrated already. */
  readonly controlUrl: string
  /** As the owner of its tables, who can have what was erased written over; where it is known. */
  readonly controlOwnerUrl?: string
  readonly clock?: Clock
  readonly log?: Logger
  /** Connections per region database. */
  readonly poolMax?: number
  /** How often all chains are looked through for what no commit announced. */
  readonly checkpointSweepMs?: number
  /** How long a job's run is its process's own without another word, and how often the word is given. */
  readonly jobLeaseTimes?: LeaseTimes
  /** After how long a silent process's export is taken over. */
  readonly exportLeaseMs?: number
  /** Opens the bucket of a region, otherwise than by its provider. */
  readonly openStore?: OpenStore
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
  /** What verifying chains takes. */
  readonly verification: VerifyChainDeps
  readonly scheduler: Scheduler
  /** What carrying out requests of data subjects takes. */
  readonly erasure: ErasureDeps
  /** What archiving takes. */
  readonly archive: ArchiveDeps
  /** How the regions are. */
  readonly health: RegionHealth
  readonly clock: Clock
  /** Begins to serve; answers the address. */
  listen(): Promise<string>
  /** Takes no more requests, finishes those under way, stops what runs behind them, and closes the databases. */
  close(): Promise<void>
}

/** After this long, connections with requests under way are cut. */
const closeGraceMs = 10_000
const databaseCloseTimeoutMs = 5000
const ARCHIVE_FIGURES_TIMEOUT_MS = 1000

export const createLogger = (level: Config['logLevel']): Logger => pino({ name: 'hyrelog', level, base: null })

/** The databases, what is known of them, and the keys. */
async function openStores(options: AppOptions, clock: Clock, log: Logger) {
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
  const gateway = new RegionGateway(registry)
  const health = new RegionHealth({
    control,
    onChecked: ({ region, answers, reason }) => gateway.heard(region, answers ? null : reason),
    onFailure: (err) => log.warn({ err }, 'the states of the regions could not be read'),
  })
  const usage = new ApiKeyUsage({
    control,
    onError: (err) => log.warn({ err }, 'the use of API keys could not be noted'),
  })
  const vault = new DirectoryKeyVault({ directory: config.keyVaultDir, masterKeys: config.regionMasterKeys, clock })
  const subjectKeys = new SubjectKeys({ vault, clock })
  return { control, secrets, registry, facts, gateway, health, usage, vault, subjectKeys }
}

type Stores = Awaited<ReturnType<typeof openStores>>

/** What records events, and what follows the chains as they grow. */
function makeRecording(
  { control, registry, facts, subjectKeys }: Stores,
  options: AppOptions,
  { clock, log, onBatch }: { clock: Clock; log: Logger; onBatch: Metrics['committed'] },
) {
  const { config } = options
  const indexer = new Indexer({
    registry,
    control,
    onFailure: (region, err) => log.warn({ region, err }, 'events could not be indexed; it is tried again'),
  })
  const committers = new Committers({
    registry,
    subjectKeys,
    tagKey: (companyId) => facts.tagKey(companyId),
    onCommitted: (region, chains, batch) => {
      onBatch(region, batch)
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
  return { indexer, committers, signingKeys, checkpointer }
}

/** What runs behind the server, made and not yet started. */
async function makeServices(options: AppOptions, clock: Clock, log: Logger) {
  const { config, controlUrl } = options
  const stores = await openStores(options, clock, log)
  const { control, registry, facts, health, vault, subjectKeys } = stores
  const archive = makeArchive(stores, options, clock, log)
  const recording = makeRecording(stores, options, {
    clock,
    log,
    onBatch: (region, batch) => metrics.committed(region, batch),
  })
  const { indexer, signingKeys, checkpointer } = recording
  const forgetKeys = (region: string): void => {
    if (!isRegion(region)) return
    vault.forget(region)
    subjectKeys.forget(region)
    exports.clean()
  }
  const factsListener = new NotificationListener(controlUrl, [FACTS_CHANNEL, REGION_STATE_CHANNEL, ERASURE_CHANNEL], {
    onNotification: (channel, payload) => {
      if (channel === REGION_STATE_CHANNEL) return health.notified(payload)
      if (channel === ERASURE_CHANNEL) return forgetKeys(payload)
      facts.notified(payload)
      checkpointer.notified(payload)
      return undefined
    },
    onReset: () => {
      for (const region of regions) forgetKeys(region)
      facts.reset()
      health.reset()
    },
  })
  const exports = new ExportRunner({
    registry,
    control,
    facts,
    subjectKeys,
    archives: archive.reader,
    checkpointer,
    clock,
    log,
    exportsDir: config.exportsDir,
    signersOf: ({ region }, note) => noteSigners(signingKeys, region, note),
    ...(options.exportLeaseMs === undefined ? {} : { leaseMs: options.exportLeaseMs }),
  })
  const verification: VerifyChainDeps = {
    registry,
    control,
    facts,
    keys: signingKeys,
    newSubjectKeys: () => new SubjectKeys({ vault, clock }),
    tagKey: (companyId) => facts.tagKey(companyId),
    archives: archive.reader,
    alarms: new ChainAlarms(log, clock),
    slots: new VerificationSlots(),
  }
  const metrics: Metrics = createMetrics({
    regions: () => registry.list().map(({ region }) => region),
    stateOf: (region) => health.of(region),
    indexPendingOf: (region) => indexer.pendingOf(region),
    checkpointAlarms: () => checkpointer.alarms.counts,
    verificationFailures: () => verification.alarms.counts,
    archiveFaults: () => archive.alarms.counts,
    archiveWork: () => archive.figures.counts,
    archivedOf: (region) =>
      registry.use(region, ({ database }) => readArchiveFigures(database, ARCHIVE_FIGURES_TIMEOUT_MS)),
  })
  const erasure = makeErasure(stores, recording, options, { archive, clock, log })
  const scheduler = makeScheduler(options, { registry, control, verification, erasure, archive, clock, log, metrics })
  return { ...stores, ...recording, factsListener, metrics, exports, verification, erasure, archive, scheduler }
}

type Services = Awaited<ReturnType<typeof makeServices>>

function makeArchive(
  { control, registry }: Stores,
  { config, openStore }: AppOptions,
  clock: Clock,
  log: Logger,
): ArchiveDeps {
  const open: OpenStore = (place, region) => openObjectStore(place, config.coldStorageSettings.get(region) ?? {}, clock)
  const stores = new BucketStores(registry, openStore ?? open)
  const alarms = new ArchiveAlarms(log)
  const figures = new ArchiveFigures()
  const reader = new ArchiveReader({ registry, stores, alarms, figures, clock })
  return { control, registry, stores, reader, alarms, figures, clock, log, parquet: config.archiveParquet }
}

function makeErasure(
  { control, registry, facts, secrets, subjectKeys, vault }: Stores,
  { indexer, checkpointer }: ReturnType<typeof makeRecording>,
  { config, controlOwnerUrl }: AppOptions,
  { archive, clock, log }: { archive: ArchiveDeps; clock: Clock; log: Logger },
): ErasureDeps {
  return {
    archive,
    control,
    registry,
    facts,
    secrets,
    subjectKeys,
    vault,
    clock,
    log,
    exportsDir: config.exportsDir,
    onCommitted: (region, chains) => {
      indexer.nudge(region)
      checkpointer.nudge(region, chains)
    },
    ownerUrl: async (database) =>
      database === 'CONTROL'
        ? (controlOwnerUrl ?? null)
        : ((await loadRegionSettings(control, secrets)).get(database)?.ownerUrl ?? null),
  }
}

const exportLinkKey = ({ apiKeyPepper }: AppConfig) => derivedKey(apiKeyPepper, 'hyrelog export links')

/** The schema over the services. */
function makeSchema(services: Services, config: AppConfig, clock: Clock, log: Logger): GraphQLSchema {
  const { control, secrets, registry, facts, subjectKeys, committers, gateway, health, scheduler } = services
  return buildSchema({
    reads: {
      facts,
      control,
      gateway,
      archives: services.archive.reader,
      clock,
      cursorKey: deriveCursorKey(config.apiKeyPepper),
      regionDeadlineMs: config.regionDeadlineMs,
      report: (err, what) => log.error({ err }, what),
    },
    disclosures: { gateway, subjectKeys, regionDeadlineMs: config.regionDeadlineMs },
    ingest: { facts, committers, clock },
    exports: {
      facts,
      control,
      clock,
      archives: services.archive.reader,
      regionDeadlineMs: config.regionDeadlineMs,
      linkKey: exportLinkKey(config),
      onRequested: () => services.exports.nudge(),
    },
    archive: { ...services.archive, registry, facts, cursorKey: deriveCursorKey(config.apiKeyPepper) },
    verification: services.verification,
    companyRegions: { registry, facts, health, gateway },
    jobs: { scheduler, control, registry, clock },
    gdpr: { control, registry, facts, secrets, subjectKeys, clock, cursorKey: deriveCursorKey(config.apiKeyPepper) },
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
    metrics: services.metrics,
    publishedKeys: () => publishedKeys(control, config.logName),
    openDownload: (link) =>
      openDownload({ control, clock, linkKey: exportLinkKey(config), exportsDir: config.exportsDir }, link),
  })
}

async function stopServices(services: Services, log: Logger): Promise<void> {
  const { control, registry, factsListener, usage, indexer, committers, checkpointer, scheduler } = services
  await committers.drain()
  await Promise.all([
    services.exports.stop(),
    scheduler.stop(),
    indexer.stop(),
    checkpointer.stop(),
    factsListener.stop(),
  ])
  await Promise.all([services.gateway.stop(), services.health.stop()])
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
      const { factsListener, usage, indexer, checkpointer, scheduler, exports } = services
      for (const service of [factsListener, usage, indexer, checkpointer, scheduler, exports]) service.start()
      const url = await fastify.listen({ host: config.host, port: config.port })
      ready = true
      return url
    },
    close: () => (closing ??= close()),
  }
}
