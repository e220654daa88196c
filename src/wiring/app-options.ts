import type { OpenStore } from '../archive/bucket-stores.js'
import type { Logger } from 'pino'
import type { Config } from '../config.js'
import type { LeaseTimes } from '../jobs/job-runner.js'
import type { Clock } from '../kernel/clock.js'
import type { HomeLeaseTimes } from '../regions/region-mode.store.js'
import type { FailoverOptions } from './failover.js'

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
  /** False: what a region owes that was down is erased when the job runs, not as soon as the region is back. */
  readonly erasesOwed?: boolean
  /** After how long a silent process's export is taken over. */
  readonly exportLeaseMs?: number
  /** How long a process may believe that a region's events go home. */
  readonly homeLeaseTimes?: HomeLeaseTimes
  /** No other process serves from this control database: what one has left behind is a dead one's. */
  readonly isAlone?: boolean
  readonly failover?: FailoverOptions
  /** Opens the bucket of a region, otherwise than by its provider. */
  readonly openStore?: OpenStore
}
