import type { Logger } from 'pino'
import { ApiKeyUsage } from '../auth/api-key-usage.js'
import type { AllCacheFigures } from '../cache/cache-figures.js'
import { SharedCache } from '../cache/shared-cache.js'
import { Database } from '../db/database.js'
import { ControlFacts } from '../directory/control-facts.js'
import { controlEntities } from '../directory/entities.js'
import { FirstPages } from '../events/first-pages.js'
import { OwedErasures } from '../gdpr/owed-erasures.js'
import type { Clock } from '../kernel/clock.js'
import { RegionGateway } from '../regions/region-gateway.js'
import { RegionHealth } from '../regions/region-health.js'
import { RegionModes } from '../regions/region-modes.js'
import { RegionRegistry } from '../regions/region-registry.js'
import { ControlSecrets } from '../sealing/control-secrets.js'
import { DirectoryKeyVault } from '../sealing/key-vault.js'
import { derivedKey } from '../sealing/secret-box.js'
import { SubjectKeys } from '../sealing/subject-keys.js'
import type { AppOptions } from './app-options.js'

/** The databases, what is known of them, and the keys. */
export async function openStores(options: AppOptions, clock: Clock, log: Logger) {
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
  const owed = new OwedErasures({
    control,
    registry,
    onFailure: (err) => log.warn({ err }, 'what regions have yet to erase could not be seen to; it is tried again'),
  })
  const gateway = new RegionGateway(
    registry,
    facts,
    (region) => modes.isFailedOver(region),
    (region, companies) => owed.owes(region, companies),
  )
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
    owed,
    gateway,
    health,
    usage,
    vault,
    subjectKeys,
    sharedCache,
    firstPages,
  }
}

export type Stores = Awaited<ReturnType<typeof openStores>>

/** What the caches have done so far. */
export const cacheFigures = ({ facts, firstPages, sharedCache }: Stores): AllCacheFigures => ({
  kinds: { facts: facts.figures, pages: firstPages.figures },
  troubles: sharedCache?.troubles ?? { unavailable: 0, refused: 0, invalid: 0 },
  isRedisUp: sharedCache?.isUp ?? null,
  pagesHeld: firstPages.size,
})
