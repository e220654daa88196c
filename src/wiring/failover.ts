import type { Logger } from 'pino'
import type { Database } from '../db/database.js'
import type { DrainDeps } from '../failover/drain-queue.js'
import { PendingQueue, type QueueLimits } from '../failover/pending-queue.js'
import { RegionRecovery } from '../failover/region-recovery.js'
import { RegionWatch } from '../failover/region-watch.js'
import { createWriteRoute } from '../failover/write-route.js'
import type { RecordingRoute } from '../events/recording-route.js'
import type { Clock } from '../kernel/clock.js'
import type { RegionGateway } from '../regions/region-gateway.js'
import type { RegionModes } from '../regions/region-modes.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { KeyVault } from '../sealing/key-vault.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import type { Metrics } from '../server/metrics.js'

/** Settings of the queue that only tests have another wish for. */
export interface FailoverOptions {
  readonly queueLimits?: QueueLimits
  /** False lets writes go home while the queue is not empty, to show what then goes wrong. */
  readonly queueWhileNotEmpty?: boolean
  /** Told between the steps of draining. What it throws ends it there and then, as a crash would. */
  readonly onDrainStep?: DrainDeps['onStep']
}

export interface FailoverStores {
  readonly control: Database
  readonly registry: RegionRegistry
  readonly gateway: RegionGateway
  readonly modes: RegionModes
  readonly vault: KeyVault
  readonly subjectKeys: SubjectKeys
}

/** What records for regions that are down, and brings it home. */
export interface Failover {
  readonly route: RecordingRoute
  readonly recovery: RegionRecovery
  readonly drain: DrainDeps
}

export function makeFailover(
  stores: FailoverStores,
  options: FailoverOptions,
  deps: {
    readonly clock: Clock
    readonly log: Logger
    readonly metrics: () => Metrics
    readonly onCommitted: DrainDeps['onCommitted']
  },
): Failover {
  const { modes, gateway, registry } = stores
  const { clock, log, metrics, onCommitted } = deps
  const watch = new RegionWatch({ registry, gateway })
  const queue = new PendingQueue({
    ...stores,
    clock,
    onQueued: (region, events) => metrics().queued(region, events),
    ...(options.queueLimits === undefined ? {} : { limits: options.queueLimits }),
  })
  const drain: DrainDeps = {
    ...stores,
    clock,
    onCommitted: (region, chains, batch) => {
      metrics().drained(region, batch.recorded)
      onCommitted(region, chains, batch)
    },
    onDeadLetter: (region, { id, reason, cause }) =>
      log.error(
        { region, eventId: id, reason, err: cause },
        'a queued event could not be recorded; it is kept as a dead letter',
      ),
    ...(options.onDrainStep === undefined ? {} : { onStep: options.onDrainStep }),
  }
  const recovery = new RegionRecovery({
    ...drain,
    modes,
    watch,
    log,
    ...(options.queueWhileNotEmpty === undefined ? {} : { queueWhileNotEmpty: options.queueWhileNotEmpty }),
  })
  modes.onChanged((mode) => {
    const { region, mode: now, epoch, failedOverAt } = mode
    if (epoch > 0) log.info({ region, mode: now, epoch, failedOver: failedOverAt !== null }, 'the mode of a region')
    recovery.changed(mode)
  })
  return { route: createWriteRoute({ modes, queue, watch }), recovery, drain }
}
