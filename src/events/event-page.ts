import type { Region } from '../kernel/region.js'
import type { ReplicaLag } from '../regions/replica-state.store.js'
import type { AuditEvent } from './audit-event.js'

/** How one region answered for one page. */
export interface RegionReport {
  readonly region: Region
  readonly status: 'OK' | 'SERVED_BY_REPLICA' | 'UNAVAILABLE'
  readonly servedBy: Region | null
  /** Events of this page that come from it. */
  readonly eventCount: number
  readonly latencyMs: number
  readonly reason: string | null
  /** How far the replica that stood in is behind; null where none did, or where nobody knows. Never rejects. */
  readonly lag: () => Promise<Pick<ReplicaLag, 'events' | 'seconds'> | null>
  /** Whether events were accepted for it that wait to be recorded; true too where that can't be found out. Never rejects. */
  readonly hasWaiting: () => Promise<boolean>
}

/** How many events match, up to a limit. */
export interface EventTotal {
  readonly count: number
  readonly isExact: boolean
}

/** A page of a list of events, newest first. */
export interface EventPage {
  readonly events: readonly AuditEvent[]
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
  cursorOf(this: void, event: AuditEvent): string
  /** Null where it was not asked for or can't be counted now. Never rejects. */
  readonly total: Promise<EventTotal | null>
  readonly regions: readonly RegionReport[]
}
