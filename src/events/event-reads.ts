import type { KeyObject } from 'node:crypto'
import type { Database } from '../db/database.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import type { RegionGateway } from '../regions/region-gateway.js'
import type { ArchiveAccess } from './archived-events.js'
import type { FirstPages } from './first-pages.js'

/** Events that were accepted and are not in their region yet. */
export interface WaitingEvents {
  /** Whether any may wait for the region, from memory. */
  mayHold(this: void, region: Region): boolean
  /** Whether this one, of one of these workspaces, does. REGION_UNAVAILABLE (CONTROL). Ids are UUIDs. */
  hold(this: void, eventId: string, workspaceIds: readonly string[]): Promise<boolean>
  /** Whether any of these workspaces of a company do. REGION_UNAVAILABLE (CONTROL). */
  holdAny(this: void, region: Region, companyId: string, workspaceIds: readonly string[]): Promise<boolean>
}

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
  /** The events that wait to be recorded; left out, none ever does. */
  readonly waiting?: WaitingEvents
  /** Told of failures that an answer only hints at. */
  readonly report: (failure: unknown, what: string) => void
}
