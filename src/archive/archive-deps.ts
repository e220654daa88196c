import type { Database } from '../db/database.js'
import type { Log } from '../db/log.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { ArchiveAlarms } from './archive-alarms.js'
import type { ArchiveFigures } from './archive-figures.js'
import type { ArchiveReader } from './archive-reader.js'
import type { BucketStores } from './bucket-stores.js'

/** What archiving takes. */
export interface ArchiveDeps {
  readonly control: Database
  readonly registry: Pick<RegionRegistry, 'use' | 'get' | 'find'>
  readonly stores: BucketStores
  readonly reader: ArchiveReader
  readonly alarms: ArchiveAlarms
  readonly figures: ArchiveFigures
  readonly clock: Clock
  readonly log: Log
  /** Also writes the clear columns as Parquet, for engines that query a bucket in place. */
  readonly parquet: boolean
  /** How much one object holds at the most. */
  readonly limits?: ArchiveLimits
  /** Told between the steps. What it throws ends the run there and then, as a crash would. */
  readonly onStep?: (step: string) => void
}

/** A reader opens an object as a whole: this much at a time, sealed, is in memory. */
export interface ArchiveLimits {
  readonly eventsMax: number
  /** Of bodies and blobs, as text. */
  readonly bytesMax: number
}

export const archiveLimits: ArchiveLimits = { eventsMax: 10_000, bytesMax: 32 * 1024 * 1024 }

/** A region to work in. */
export interface ArchivePlace {
  readonly region: Region
  readonly database: Database
}
