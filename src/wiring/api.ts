import type { FastifyInstance } from 'fastify'
import type { GraphQLSchema } from 'graphql'
import type { Logger } from 'pino'
import { authenticate } from '../auth/authenticate.js'
import { visibleCompanies } from '../auth/permissions.js'
import { authenticateSession } from '../auth/session.js'
import { publishedKeys } from '../checkpoints/published-keys.js'
import { createDirectoryLoaders } from '../directory/directory-loaders.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { openDownload } from '../exports/open-download.js'
import { isAnyPending, isPending } from '../failover/pending-write.store.js'
import { type RegionStatusDeps, readRegionStatuses } from '../failover/region-status.js'
import type { Clock } from '../kernel/clock.js'
import { deriveCursorKey } from '../kernel/cursor.js'
import { derivedKey } from '../sealing/secret-box.js'
import { buildSchema } from '../server/build-schema.js'
import { createHttpServer } from '../server/http-server.js'
import type { AppConfig } from './app-options.js'
import type { Services } from './services.js'

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
        holdAny: (region, companyId, workspaceIds) =>
          orControlUnavailable(() => isAnyPending(control, region, companyId, workspaceIds)),
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

/** The server over the services. It takes no requests yet. */
export function makeServer(
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
