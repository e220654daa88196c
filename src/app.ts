import type { FastifyInstance } from 'fastify'
import type { GraphQLSchema } from 'graphql'
import { pino, type Logger } from 'pino'
import { ApiKeyUsage } from './auth/api-key-usage.js'
import { authenticate } from './auth/authenticate.js'
import { authenticateSession } from './auth/session.js'
import { visibleCompanies } from './auth/permissions.js'
import type { AllCacheFigures } from './cache/cache-figures.js'
import { SharedCache } from './cache/shared-cache.js'
import { Checkpointer } from './checkpoints/checkpointer.js'
import type { AdminChainDeps } from './checkpoints/get-admin-checkpoint.js'
import { publishedKeys } from './checkpoints/published-keys.js'
import { SigningKeys } from './checkpoints/signing-keys.js'
import { SigningKeyVault } from './checkpoints/signing-key-vault.js'
import type { Config } from './config.js'
import { Database } from './db/database.js'
import { NotificationListener } from './db/notification-listener.js'
import { ControlFacts, FACTS_CHANNEL } from './directory/control-facts.js'
import { orControlUnavailable } from './directory/with-control.js'
import { createDirectoryLoaders } from './directory/directory-loaders.js'
import { controlEntities } from './directory/entities.js'
import { Committers } from './events/committers.js'
import { FirstPages } from './events/first-pages.js'
import { Indexer } from './events/indexer.js'
import { ExportRunner } from './exports/export-runner.js'
import { openDownload } from './exports/open-download.js'
import { noteSigners } from './exports/note-signers.js'
import { ArchiveAlarms } from './archive/archive-alarms.js'
import type { ArchiveDeps } from './archive/archive-deps.js'
import { ArchiveFigures } from './archive/archive-figures.js'
import { ArchiveReader } from './archive/archive-reader.js'
import { readArchiveFigures } from './archive/archive-object.store.js'
import { BucketStores } from './archive/bucket-stores.js'
import type { LeaseTimes } from './jobs/job-runner.js'
import type { ObjectStore } from './objects/object-store.js'
import { openObjectStore } from './objects/open-object-store.js'
import type { Scheduler } from './jobs/scheduler.js'
import { type Clock, systemClock } from './kernel/clock.js'
import { deriveCursorKey } from './kernel/cursor.js'
import { isRegion, type Region, regions } from './kernel/region.js'
import type { ColdStorage } from './regions/region-data-store.js'
import { RegionGateway } from './regions/region-gateway.js'
import { RegionHealth } from './regions/region-health.js'
import { REGION_MODE_CHANNEL } from './regions/region-mode.js'
import type { HomeLeaseTimes } from './regions/region-mode.store.js'
import { RegionModes } from './regions/region-modes.js'
import { RegionRegistry } from './regions/region-registry.js'
import { REGION_STATE_CHANNEL } from './regions/region-state.js'
import { replicationBacklog } from './regions/replica-state.store.js'
import { replicaErasure } from './replication/erase-replicas.js'
import type { ReplicationDeps } from './replication/replication-deps.js'
import type { Replicator } from './replication/replicator.js'
import { ControlSecrets } from './sealing/control-secrets.js'
import { derivedKey } from './sealing/secret-box.js'
import { DirectoryKeyVault } from './sealing/key-vault.js'
import { SubjectKeys } from './sealing/subject-keys.js'
import { buildSchema } from './server/build-schema.js'
import { ChainAlarms } from './verification/chain-alarms.js'
import { VerificationKeys } from './verification/verification-keys.js'
import { VerificationSlots } from './verification/verification-slots.js'
import type { VerifyChainDeps } from './verification/verify-chain.js'
import { createHttpServer } from './server/http-server.js'
import { isPending, readPendingFigures } from './failover/pending-write.store.js'
import { readRegionStatuses, type RegionStatusDeps } from './failover/region-status.js'
import type { DrainDeps } from './failover/drain-queue.js'
import { type FailoverOptions, makeFailover } from './make-failover.js'
import { makeReplication } from './make-replication.js'
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
  /** False: this process copies no chains to replicas by itself, only when its job runs. */
  readonly replicates?: boolean
  /** After how long a silent process's export is taken over. */
  readonly exportLeaseMs?: number
  /** How long a process may believe that a region's events go home. */
  readonly homeLeaseTimes?: HomeLeaseTimes
  /** No other process serves from this control database: what one has left behind is a dead one's. */
  readonly isAlone?: boolean
  readonly failover?: FailoverOptions
  /** Opens the bucket of a region, otherwise than by its provider. */
  readonly openStore?: (place: ColdStorage, region: Region) => Promise<ObjectStore>
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
  readonly gateway: RegionGateway
  readonly firstPages: FirstPages
  /** What processes share in Redis; undefined: none is configured. */
  readonly sharedCache: SharedCache | undefined
  readonly committers: Committers
  /** Where each region's writes go. */
  readonly modes: RegionModes
  readonly indexer: Indexer
  readonly checkpointer: Checkpointer
  /** What verifying chains takes. */
  readonly verification: VerifyChainDeps
  readonly scheduler: Scheduler
  /** What carrying out requests of data subjects takes. */
  readonly erasure: ErasureDeps
  /** What copying chains to replicas takes. */
  readonly replication: ReplicationDeps
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
  const { redisUrl: url, apiKeyPepper: secret } = config
  const sharedCache = url === undefined ? undefined : SharedCache.open({ url, secret, log })
  const facts = new ControlFacts({ control, secrets, clock, sharedCache })
  const modes = new RegionModes({
    control,
    onFailure: (err) => log.warn({ err }, 'the lease on the regions could not be renewed; it is tried again'),
    ...(options.homeLeaseTimes === undefined ? {} : { times: options.homeLeaseTimes }),
    ...(options.isAlone === undefined ? {} : { isAlone: options.isAlone }),
  })
  const gateway = new RegionGateway(registry, facts, (region) => modes.isFailedOver(region))
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
  const firstPages = new FirstPages({
    gateway,
    secret: derivedKey(secret, 'hyrelog first pages'),
    shared: sharedCache,
  })
  return {
    control,
    secrets,
    registry,
    facts,
    modes,
    gateway,
    health,
    usage,
    vault,
    subjectKeys,
    sharedCache,
    firstPages,
  }
}

type Stores = Awaited<ReturnType<typeof openStores>>

const cacheFigures = ({ facts, firstPages, sharedCache }: Stores): AllCacheFigures => ({
  kinds: { facts: facts.figures, pages: firstPages.figures },
  troubles: sharedCache?.troubles ?? { unavailable: 0, refused: 0, invalid: 0 },
  isRedisUp: sharedCache?.isUp ?? null,
  pagesHeld: firstPages.size,
})
/** Told of the chains that a commit has made longer. */
type OnGrown = (chains: readonly { readonly workspaceId: string }[]) => void

/** What records events, and what follows the chains as they grow. */
function makeRecording(
  stores: Stores,
  options: AppOptions,
  { clock, log, metrics, onGrown }: { clock: Clock; log: Logger; metrics: () => Metrics; onGrown: OnGrown },
) {
  const { control, registry, facts, subjectKeys } = stores
  const { config } = options
  const indexer = new Indexer({
    registry,
    control,
    onFailure: (region, err) => log.warn({ region, err }, 'events could not be indexed; it is tried again'),
  })
  const onCommitted: DrainDeps['onCommitted'] = (region, chains, batch) => {
    metrics().committed(region, batch)
    indexer.nudge(region)
    checkpointer.nudge(region, chains)
    onGrown(chains)
  }
  const failover = makeFailover(stores, options.failover ?? {}, { clock, log, metrics, onCommitted })
  const committers = new Committers({
    registry,
    subjectKeys,
    tagKey: (companyId) => facts.tagKey(companyId),
    route: failover.route,
    onCommitted,
  })
  const signingKeys = new SigningKeys({
    logName: config.logName,
    vault: new SigningKeyVault({
      directory: config.keyVaultDir,
      masterKeys: new Map([...config.regionMasterKeys, ['CONTROL', config.controlMasterKey] as const]),
    }),
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
  const adminChains: AdminChainDeps = { control, facts, keys: signingKeys, alarms: checkpointer.alarms, clock }
  return { indexer, committers, failover, signingKeys, checkpointer, adminChains }
}

/** What the process remembers of keys and of what they opened, and has to forget when keys are destroyed. */
type ForgetKeys = (region: Region) => void

/** Hears what the control database tells of, and has it acted by here. */
function listenToControl(
  controlUrl: string,
  { facts, modes, health }: Stores,
  { checkpointer }: ReturnType<typeof makeRecording>,
  { replicator, forget }: { readonly replicator: Replicator; readonly forget: ForgetKeys },
): NotificationListener {
  const channels = [FACTS_CHANNEL, REGION_STATE_CHANNEL, REGION_MODE_CHANNEL, ERASURE_CHANNEL]
  return new NotificationListener(controlUrl, channels, {
    onNotification: (channel, payload) => {
      if (channel === REGION_STATE_CHANNEL) return health.notified(payload)
      if (channel === REGION_MODE_CHANNEL) return modes.notified(payload)
      if (channel === ERASURE_CHANNEL) return isRegion(payload) ? forget(payload) : undefined
      facts.notified(payload)
      checkpointer.notified(payload)
      replicator.notified(payload)
      return undefined
    },
    onLost: () => facts.lost(),
    onReset: () => {
      for (const region of regions) forget(region)
      facts.reset()
      health.reset()
      modes.reset()
      replicator.reset()
    },
  })
}

/** What runs behind the server, made and not yet started. */
async function makeServices(options: AppOptions, clock: Clock, log: Logger) {
  const { config, controlUrl } = options
  const stores = await openStores(options, clock, log)
  const { control, registry, facts, modes, vault, subjectKeys } = stores
  const archive = makeArchive(stores, options, clock, log)
  const recording = makeRecording(stores, options, {
    clock,
    log,
    metrics: () => metrics,
    onGrown: (chains) => replicator.nudge(chains),
  })
  const { signingKeys, checkpointer, adminChains } = recording
  const { replication, replicator } = makeReplication({ ...stores, signingKeys, clock, log })
  const factsListener = listenToControl(controlUrl, stores, recording, {
    replicator,
    forget: (region) => {
      vault.forget(region)
      subjectKeys.forget(region)
      verification.subjectKeys.forget(region)
      stores.firstPages.forget(region)
      exports.clean()
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
  const verification = makeVerification(stores, recording, archive, { clock, log })
  const metrics = makeMetrics(stores, recording, { verification, replication, archive })
  const erasure = makeErasure(stores, recording, options, {
    archive,
    clock,
    log,
    onGrown: (chains) => replicator.nudge(chains),
    replicas: replicaErasure(replication, facts),
  })
  const scheduler = makeScheduler(options, {
    registry,
    control,
    verification,
    erasure,
    adminChains,
    recovery: recording.failover.recovery,
    replication,
    archive,
    modes,
    clock,
    log,
    metrics,
  })
  const behind = { factsListener, metrics, exports, verification, erasure, archive, replication, replicator, scheduler }
  return { ...stores, ...recording, ...behind }
}

type Services = Awaited<ReturnType<typeof makeServices>>

type Recording = ReturnType<typeof makeRecording>

function makeVerification(
  { registry, control, facts, gateway, vault }: Stores,
  { signingKeys }: Recording,
  archive: ArchiveDeps,
  { clock, log }: { clock: Clock; log: Logger },
): VerifyChainDeps {
  return {
    registry,
    control,
    facts,
    gateway,
    keys: signingKeys,
    subjectKeys: new VerificationKeys({ vault, clock }),
    archives: archive.reader,
    tagKey: (companyId) => facts.tagKey(companyId),
    alarms: new ChainAlarms(log, clock),
    slots: new VerificationSlots(),
  }
}

function makeArchive(
  { control, registry }: Stores,
  { config, openStore }: AppOptions,
  clock: Clock,
  log: Logger,
): ArchiveDeps {
  const openConfigured = (place: ColdStorage, region: Region) =>
    openObjectStore(place, config.coldStorageSettings.get(region) ?? {}, clock)
  const stores = new BucketStores(registry, openStore ?? openConfigured)
  const alarms = new ArchiveAlarms(log)
  const figures = new ArchiveFigures()
  const reader = new ArchiveReader({ registry, stores, alarms, figures, clock })
  return { control, registry, stores, reader, alarms, figures, clock, log, parquet: config.archiveParquet }
}

const makeMetrics = (
  stores: Stores,
  { indexer, checkpointer }: Recording,
  {
    verification,
    replication,
    archive,
  }: { verification: VerifyChainDeps; replication: ReplicationDeps; archive: ArchiveDeps },
): Metrics => {
  const { registry, health, modes, control } = stores
  return createMetrics({
    regions: () => registry.list().map(({ region }) => region),
    stateOf: (region) => health.of(region),
    indexPendingOf: (region) => indexer.pendingOf(region),
    pendingFigures: () => readPendingFigures(control),
    modeOf: (region) => modes.of(region),
    checkpointAlarms: () => checkpointer.alarms.counts,
    verificationFailures: () => verification.alarms.counts,
    cache: () => cacheFigures(stores),
    replicaAlarms: () => replication.alarms.counts,
    replicationBacklog: () => replicationBacklog(control),
    archiveFaults: () => archive.alarms.counts,
    archiveWork: () => archive.figures.counts,
    archivedOf: (region) =>
      registry.use(region, ({ database }) => readArchiveFigures(database, ARCHIVE_FIGURES_TIMEOUT_MS)),
  })
}

function makeErasure(
  { control, registry, facts, secrets, subjectKeys, vault, firstPages }: Stores,
  { indexer, checkpointer }: Recording,
  { config, controlOwnerUrl }: AppOptions,
  {
    archive,
    clock,
    log,
    onGrown,
    replicas,
  }: {
    archive: ArchiveDeps
    clock: Clock
    log: Logger
    onGrown: OnGrown
    replicas: ErasureDeps['replicas']
  },
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
    replicas,
    exportsDir: config.exportsDir,
    dropPages: (region, companyId) => firstPages.drop(region, companyId),
    onCommitted: (region, chains) => {
      indexer.nudge(region)
      checkpointer.nudge(region, chains)
      onGrown(chains)
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
  const { control, secrets, registry, facts, subjectKeys, committers, gateway, health, scheduler, firstPages } =
    services
  return buildSchema({
    reads: {
      facts,
      control,
      gateway,
      firstPages,
      archives: services.archive.reader,
      clock,
      cursorKey: deriveCursorKey(config.apiKeyPepper),
      regionDeadlineMs: config.regionDeadlineMs,
      waiting: {
        mayHold: (region) => services.modes.of(region)?.mode !== 'HOME',
        hold: (eventId, workspaceIds) => orControlUnavailable(() => isPending(control, eventId, workspaceIds)),
      },
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
    adminChains: services.adminChains,
    companyRegions: { control, registry, facts, health, gateway },
    regionAdministration: {
      control,
      registry,
      secrets,
      clock,
      hasMasterKey: (region) => config.regionMasterKeys.has(region),
    },
    replication: { control, registry, facts, clock, onResync: () => services.replicator.reset() },
    jobs: { scheduler, control, registry, clock },
    failover: {
      ...regionStatusDeps(services),
      clock,
      drain: services.failover.drain,
      cursorKey: deriveCursorKey(config.apiKeyPepper),
    },
    gdpr: { control, registry, facts, secrets, subjectKeys, clock, cursorKey: deriveCursorKey(config.apiKeyPepper) },
    dashboard: { control, facts, secrets, pepper: config.apiKeyPepper, clock },
    signIn: { control, clock, secrets, attemptKey: derivedKey(config.apiKeyPepper, 'hyrelog sign-in attempts') },
  })
}

const regionStatusDeps = ({ control, registry, health, gateway, modes }: Services): RegionStatusDeps => ({
  control,
  registry,
  health,
  gateway,
  modes,
})

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
    regionHealth: () => readRegionStatuses(regionStatusDeps(services)),
    publishedKeys: () => publishedKeys(control, config.logName),
    openDownload: (link) =>
      openDownload({ control, clock, linkKey: exportLinkKey(config), exportsDir: config.exportsDir }, link),
  })
}

async function stopServices(services: Services, log: Logger): Promise<void> {
  const { control, registry, factsListener, usage, indexer, committers, checkpointer, scheduler } = services
  await committers.drain()
  await services.failover.recovery.stop()
  await Promise.all([
    services.exports.stop(),
    scheduler.stop(),
    indexer.stop(),
    checkpointer.stop(),
    services.replicator.stop(),
    factsListener.stop(),
  ])
  await Promise.all([services.gateway.stop(), services.health.stop(), services.modes.stop()])
  await services.sharedCache?.close()
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
  await services.modes.start()
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
      const { factsListener, usage, indexer, checkpointer, replicator, scheduler, exports } = services
      for (const service of [factsListener, usage, indexer, checkpointer, scheduler, exports]) service.start()
      if (options.replicates !== false) replicator.start()
      const url = await fastify.listen({ host: config.host, port: config.port })
      ready = true
      return url
    },
    close: () => (closing ??= close()),
  }
}
