import type { KeyObject } from 'node:crypto'
import type { Database } from '../db/database.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { Clock } from '../kernel/clock.js'
import type { RegionGateway } from '../regions/region-gateway.js'
import type { ArchiveAccess } from './archived-events.js'
import type { FirstPages } from './first-pages.js'

/** What reading events takes. */
export interface EventReads {
  readonly facts: ControlFacts
  readonly control: Database
  readonly gateway: RegionGateway
  /** Where lists begin. */
  readonly firstPages: FirstPages
  readonly archives: ArchiveAccess
  /** Signs cursors: see `deriveCursorKey`. */
  readonly cursorKey: KeyObject
  readonly clock: Clock
  /** How long a region may take. */
  readonly regionDeadlineMs: number
  /** Told of failures that an answer only hints at. */
  readonly report: (failure: unknown, what: string) => void
}
