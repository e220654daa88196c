import type { FastifyInstance } from 'fastify'
import { type Logger, pino } from 'pino'
import type { ArchiveDeps } from './archive/archive-deps.js'
import type { SharedCache } from './cache/shared-cache.js'
import type { Checkpointer } from './checkpoints/checkpointer.js'
import type { Config } from './config.js'
import type { Database } from './db/database.js'
import type { ControlFacts } from './directory/control-facts.js'
import type { Committers } from './events/committers.js'
import type { FirstPages } from './events/first-pages.js'
import type { Indexer } from './events/indexer.js'
import type { ErasureDeps } from './gdpr/erasure-deps.js'
import type { Scheduler } from './jobs/scheduler.js'
import { type Clock, systemClock } from './kernel/clock.js'
import type { RegionGateway } from './regions/region-gateway.js'
import type { RegionHealth } from './regions/region-health.js'
import type { RegionModes } from './regions/region-modes.js'
import type { RegionRegistry } from './regions/region-registry.js'
import type { ReplicationDeps } from './replication/replication-deps.js'
import type { ControlSecrets } from './sealing/control-secrets.js'
import type { SubjectKeys } from './sealing/subject-keys.js'
import type { VerifyChainDeps } from './verification/verify-chain.js'
import { makeServer } from './wiring/api.js'
import type { AppOptions } from './wiring/app-options.js'
import { makeServices, stopServices } from './wiring/services.js'

export type { AppConfig, AppOptions } from './wiring/app-options.js'

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

export const createLogger = (level: Config['logLevel']): Logger => pino({ name: 'hyrelog', level, base: null })

/**
 * Wires the service over databases that exist. Nothing is served until `listen`. Throws where the control database can't
 * be read.
 */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, clock = systemClock, log = createLogger(config.logLevel) } = options
  const services = await makeServices(options, clock, log)
  await Promise.all([services.modes.start(), services.owed.load()])
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
      if (options.erasesOwed !== false) services.owed.start(() => scheduler.runNow('gdpr'))
      const url = await fastify.listen({ host: config.host, port: config.port })
      ready = true
      return url
    },
    close: () => (closing ??= close()),
  }
}
