import type { Region } from '../kernel/region.js'

/** A chain that is, or is to be, copied to another region. Ids are UUIDs. */
export interface ReplicatedChain {
  readonly workspaceId: string
  readonly companyId: string
  readonly home: Region
}

/**
 * Why a replica was stopped. `CHAIN_MISMATCH`: what home has does not go on from what the replica has, or hashes to
 * something else. `CHECKPOINT_MISMATCH`: it has another root than a signed checkpoint, or the checkpoint is not signed.
 * `ERASURE_MISMATCH`: tombstones are not those that the erasure's event names. `ROWS_MISMATCH`: rows of the replica are
 * not those of home. `HOME_BEHIND`: home has fewer events than the replica.
 */
export const replicaFaults = [
  'CHAIN_MISMATCH',
  'CHECKPOINT_MISMATCH',
  'ERASURE_MISMATCH',
  'ROWS_MISMATCH',
  'HOME_BEHIND',
] as const
export type ReplicaFaultReason = (typeof replicaFaults)[number]

/** What home and replica say contradicts each other. Nothing of it was stored. */
export class ReplicaFault extends Error {
  override readonly name = 'ReplicaFault'
  constructor(
    readonly reason: ReplicaFaultReason,
    /** The event concerned. */
    readonly sequence: number,
  ) {
    super(`the replica contradicts its home at event ${sequence}: ${reason}`)
  }
}

/** How far a replica is. */
export interface ReplicaHead extends ReplicatedChain {
  readonly term: number
  readonly sequence: number
  readonly hash: Buffer
  readonly frontier: Buffer
  readonly state: 'COPYING' | 'STOPPED' | 'PURGING'
  readonly stoppedReason: string | null
  readonly isFilled: boolean
  readonly checkedSequence: number
  readonly droppedSequence: number
}
