import type { Deadline } from '../kernel/deadline.js'
import type { Region } from '../kernel/region.js'
import type { HomeTicket } from '../regions/region-modes.js'
import type { Outcome } from './commit-batch.js'
import type { EventDraft } from './event-draft.js'

/** The region was found not to answer while a batch was on its way: whether it was committed is not known here. */
export class RegionDownError extends Error {
  override readonly name = 'RegionDownError'
}

/** The drafts of one request. */
export interface QueuedRequest {
  readonly drafts: readonly EventDraft[]
  /** The route's fence before they were accepted; null: whoever asked sees to erasures itself. */
  readonly fence: number | null
}

/** Where the events of regions go: into their database, or, while that can't be, into the pending queue. */
export interface RecordingRoute {
  /** Leave to commit in the region now, from memory; null: not now, or not by this process. */
  home(region: Region): HomeTicket | null
  /** What to take before events are accepted: an erasure that ends after that has them accepted anew. */
  fence(region: Region): number
  /** For how many milliseconds at least the leave is good still. 0: not any more. */
  leftMs(ticket: HomeTicket): number
  /**
   * Looks whether a region answers, should a commit in it take long. The signal is aborted, with a
   * {@link RegionDownError}, when it does not. `end` is to be called when the commit is over.
   */
  watch(region: Region): { readonly signal: AbortSignal; readonly end: () => void }
  /**
   * Queues requests of a region, each whole or not at all; answers what becomes of each. Null where they are to be
   * committed at home after all. `cause` is why they could not be before; it is thrown again where the region turns out
   * to be well. A request that an erasure has overtaken is refused with {@link OvertakenByErasureError}. `RATE_LIMITED`, `REGION_UNAVAILABLE` (nothing was kept, unless the message says that it may have been).
   */
  queue(
    region: Region,
    requests: readonly QueuedRequest[],
    deadline: Deadline,
    cause: unknown,
  ): Promise<readonly Outcome[] | null>
}
