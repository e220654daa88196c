import { DatabaseError } from '../db/database-error.js'
import { NotHomeError, OutcomeUnknownError } from '../events/batch-transaction.js'
import { type RecordingRoute, RegionDownError } from '../events/recording-route.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { RegionModes } from '../regions/region-modes.js'
import type { PendingQueue } from './pending-queue.js'
import type { RegionWatch } from './region-watch.js'

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
    fence: (region) => modes.fence(region),
    leftMs: (ticket) => modes.leftMs(ticket),
    watch: (region) => watch.watch(region),
    async queue(region, requests, deadline, cause) {
      let obstacle = cause
      // What may have been committed can't be again; from the queue it is taken home by its id.
      const mustQueue = cause instanceof RegionDownError || cause instanceof OutcomeUnknownError
      for (;;) {
        const where = await modes.settled(region, deadline)
        if (where === null) throw unavailable(region, 'nothing was kept')
        if ('mode' in where) {
          const outcomes = await orUnavailable(region, () => queue.insert(where, requests, deadline))
          if (outcomes !== null) return outcomes
          obstacle = null
          continue
        }
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
        await orUnavailable(region, () => modes.close(region))
        obstacle = null
      }
    },
  }
}

async function orUnavailable<T>(region: Region, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    if (error.commitUnknown)
      throw unavailable(
        region,
        'the events may have been kept. Repeating the request with the same idempotency keys is safe',
        error,
      )
    if (error.unavailable) throw unavailable(region, 'nothing was kept', error)
    throw error
  }
}

const unavailable = (region: Region, what: string, cause?: unknown): DomainError =>
  new DomainError(
    'REGION_UNAVAILABLE',
    `Region ${region} can't record now, nor can the control database keep events for it; ${what}.`,
    { details: { regions: [region, 'CONTROL'] }, ...(cause === undefined ? {} : { cause }) },
  )
