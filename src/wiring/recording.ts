import type { Logger } from 'pino'
import { Checkpointer } from '../checkpoints/checkpointer.js'
import type { AdminChainDeps } from '../checkpoints/get-admin-checkpoint.js'
import { SigningKeyVault } from '../checkpoints/signing-key-vault.js'
import { SigningKeys } from '../checkpoints/signing-keys.js'
import { Committers } from '../events/committers.js'
import { Indexer } from '../events/indexer.js'
import type { DrainDeps } from '../failover/drain-queue.js'
import type { Clock } from '../kernel/clock.js'
import type { Metrics } from '../server/metrics.js'
import type { AppOptions } from './app-options.js'
import { makeFailover } from './failover.js'
import type { Stores } from './stores.js'

/** Told of the chains that a commit has made longer. */
export type OnGrown = (chains: readonly { readonly workspaceId: string }[]) => void

/** What records events, and what follows the chains as they grow. */
export function makeRecording(
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

export type Recording = ReturnType<typeof makeRecording>
