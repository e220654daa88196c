import { DatabaseError } from '../db/database-error.js'
import { NotHomeError, OutcomeUnknownError } from '../events/batch-transaction.js'
import { type RecordingRoute, RegionDownError } from '../events/recording-route.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { RegionModes } from '../regions/region-modes.js'
import type { PendingQueue } from './pending-queue.js'
import type { RegionWatch } from './region-watch.js'

/** How often one request has a region closed that turns out to be open again. */
const CLOSINGS_MAX = 3

export interface WriteRouteDeps {
  readonly modes: RegionModes
  readonly queue: PendingQueue
  readonly watch: RegionWatch
}

/** With less time than this left, nothing is begun at home again. */
const RETRY_MS_MIN = 1_500

/** Sends each region's events home or into the queue, as its mode says, and changes that where a region is down. */
export function createWriteRoute({ modes, queue, watch }: WriteRouteDeps): RecordingRoute {
  return {
    home: (region) => modes.home(region),
    leftMs: (ticket) => modes.leftMs(ticket),
    watch: (region) => watch.watch(region),
    async queue(region, requests, deadline, cause) {
      let obstacle = cause
      // What may have been committed can't be again; from the queue it is taken home by its id.
      const mustQueue = cause instanceof RegionDownError || cause instanceof OutcomeUnknownError
      const nothing = mustQueue ? mayHaveBeenKept : nothingWasKept
      for (let closings = 0; ;) {
        const where = await modes.settled(region, deadline)
        if (where === null) throw unavailable(region, nothing)
        if ('mode' in where) {
          const outcomes = await orUnavailable(region, nothing, () => queue.insert(where, requests, deadline))
          if (outcomes !== null) return outcomes
          obstacle = null
          continue
        }
        // Its closing is taken back each time: asking for it over and over would only be in everybody's way.
        if (closings++ === CLOSINGS_MAX) throw unavailable(region, nothing, cause)
        if (!mustQueue) {
          if (obstacle === null || obstacle instanceof NotHomeError) return null
          if (!(await watch.isDown(region))) {
            // It was the lease that ended too soon, or a moment's trouble.
            if (deadline.remainingMs() > RETRY_MS_MIN) return null
            // As it came: whoever asked knows what to make of it.
            // oxlint-disable-next-line typescript/only-throw-error
            throw obstacle
          }
        }
        await orUnavailable(region, nothing, () => modes.close(region))
        obstacle = null
      }
    },
  }
}

async function orUnavailable<T>(region: Region, nothing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    if (error.commitUnknown) throw unavailable(region, mayHaveBeenKept, error)
    if (error.unavailable) throw unavailable(region, nothing, error)
    throw error
  }
}

const nothingWasKept = 'nothing was kept'
const mayHaveBeenKept = 'the events may have been kept. Repeating the request with the same idempotency keys is safe'

const unavailable = (region: Region, what: string, cause?: unknown): DomainError =>
  new DomainError(
    'REGION_UNAVAILABLE',
    `Region ${region} can't record now, nor can the control database keep events for it; ${what}.`,
    { details: { regions: [region, 'CONTROL'] }, ...(cause === undefined ? {} : { cause }) },
  )
