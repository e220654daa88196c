import type { ReplicatedChain } from './replica-chain.js'
import { inReplica, type ReplicaPlace } from './replica-transaction.js'
import { dropEvents } from './replica.store.js'

/**
 * Takes a stretch away from a replica that archives have taken from the tables of its home: the events lie in objects
 * from now on, here as there. What remains is the tree, the tombstones and the checkpoints. May be repeated.
 */
export const dropArchived = (
  place: ReplicaPlace,
  chain: ReplicatedChain,
  firstSequence: number,
  lastSequence: number,
): Promise<void> =>
  inReplica(place, chain.companyId, (tx) => dropEvents(tx, chain.workspaceId, firstSequence, lastSequence))
