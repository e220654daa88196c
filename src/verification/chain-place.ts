import type { TransactionOptions } from '../db/database.js'
import type { Region } from '../kernel/region.js'

/** One chunk of events with their keys. */
const TRANSACTION_TIMEOUT_MS = 15_000

/** The chain of a workspace, and where it is. */
export interface ChainPlace {
  readonly id: string
  readonly companyId: string
  readonly dataRegion: Region
  /** Verify the copy that this other region keeps of it. */
  readonly copyIn?: Region
}

/** The region whose database and keys are read. */
export const readFrom = ({ dataRegion, copyIn }: ChainPlace): Region => copyIn ?? dataRegion

/** What transactions on the chain are like. */
export const transactionOf = ({ companyId, copyIn }: ChainPlace): TransactionOptions => ({
  companies: [companyId],
  readOnly: true,
  timeoutMs: TRANSACTION_TIMEOUT_MS,
  ...(copyIn === undefined ? {} : { schema: 'replica' as const }),
})
