import type { Region } from '../kernel/region.js'

/** The answer to one recorded event: given only after the commit, or after the commit of the event it repeats. */
export interface Receipt {
  /** Plain UUID. */
  readonly eventId: string
  readonly region: Region
  readonly status: 'RECORDED'
  /** True where an idempotency key named an event that was recorded before. */
  readonly replayed: boolean
  readonly sequence: number
  /** 32 bytes: the event's link in its chain. */
  readonly hash: Buffer
}
