import type { Logger } from 'pino'
import { ArchiveAlarms } from '../archive/archive-alarms.js'
import type { ArchiveDeps } from '../archive/archive-deps.js'
import { ArchiveFigures } from '../archive/archive-figures.js'
import { readArchiveFigures } from '../archive/archive-object.store.js'
import { ArchiveReader } from '../archive/archive-reader.js'
import { BucketStores, type OpenStore } from '../archive/bucket-stores.js'
import { ExportRunner } from '../exports/export-runner.js'
import { noteSigners } from '../exports/note-signers.js'
import { readPendingFigures } from '../failover/pending-write.store.js'
import type { ErasureDeps } from '../gdpr/erasure-deps.js'
import type { Clock } from '../kernel/clock.js'
import { openObjectStore } from '../objects/open-object-store.js'
import { loadRegionSettings } from '../regions/region-data-store.store.js'
import { replicationBacklog } from '../regions/replica-state.store.js'
import { replicaErasure } from '../replication/erase-replicas.js'
import type { ReplicationDeps } from '../replication/replication-deps.js'
import { type Metrics, createMetrics } from '../server/metrics.js'
import { ChainAlarms } from '../verification/chain-alarms.js'
import { VerificationKeys } from '../verification/verification-keys.js'
import { VerificationSlots } from '../verification/verification-slots.js'
import type { VerifyChainDeps } from '../verification/verify-chain.js'
import type { AppOptions } from './app-options.js'
import { listenToControl } from './listen-to-control.js'
import { type OnGrown, type Recording, makeRecording } from './recording.js'
import { makeReplication } from './replication.js'
import { makeScheduler } from './scheduler.js'
import { type Stores, cacheFigures, openStores } from './stores.js'

const databaseCloseTimeoutMs = 5000
const ARCHIVE_FIGURES_TIMEOUT_MS = 1000

/** What runs behind the server, made and not yet started. */
export async function makeServices(options: AppOptions, clock: Clock, log: Logger) {
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
    owesErasure: (region, companyId) => stores.owed.owes(region, [companyId]),
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
    replicas: replicaErasure(replication),
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

export type Services = Awaited<ReturnType<typeof makeServices>>

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
  const openConfigured: OpenStore = (place, region) =>
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

/** Ends what runs behind the server, in order, and closes the databases. */
export async function stopServices(services: Services, log: Logger): Promise<void> {
  const { control, registry, factsListener, usage, indexer, committers, checkpointer, scheduler } = services
  await committers.drain()
  await services.failover.recovery.stop()
  await Promise.all([
    services.exports.stop(),
    scheduler.stop(),
    // Together with the scheduler, whose run it may wait for.
    services.owed.stop(),
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
