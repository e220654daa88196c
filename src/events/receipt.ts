import type { Region } from '../kernel/region.js'

/** The answer to one event: given only after it is durable, or after that of the event it repeats. */
export type Receipt = {
  /** Plain UUID. */
  readonly eventId: string
  readonly region: Region
  /** True where an idempotency key named an event that was recorded, or queued, before. */
  readonly replayed: boolean
} & (
  | {
      /** Committed in its region. */
      readonly status: 'RECORDED'
      readonly sequence: number
      /** 32 bytes: the event's link in its chain. */
      readonly hash: Buffer
    }
  | {
      /** Durably kept in the pending queue; its place in the chain is not known yet. */
      readonly status: 'QUEUED'
      readonly sequence: null
      readonly hash: null
    }
)
