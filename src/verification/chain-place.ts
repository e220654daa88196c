import type { Region } from '../kernel/region.js'

/** The chain of a workspace, and where it is. */
export interface ChainPlace {
  readonly id: string
  readonly companyId: string
  readonly dataRegion: Region
}

/** One chunk of events with their keys. */
export const TRANSACTION_TIMEOUT_MS = 15_000
