import { readArchivedRuns } from './home.store.js'
import type { ReplicaHead } from './replica-chain.js'
import { atHome, inReplica, type ReplicaPlace } from './replica-transaction.js'
import { dropEvents, findFirstSequence } from './replica.store.js'
import type { ReplicationDeps } from './replication-deps.js'

/**
 * Takes from a replica what archives have taken from the tables of its home: the events lie in objects of the home's
 * bucket from then on. What remains is the tree, the tombstones and the checkpoints. May be repeated, and cut short.
 */
export async function dropArchived(
  deps: Pick<ReplicationDeps, 'registry'>,
  place: ReplicaPlace,
  { workspaceId, companyId, home, sequence }: ReplicaHead,
  signal: AbortSignal,
): Promise<void> {
  const from = await inReplica(place, companyId, (tx) => findFirstSequence(tx, workspaceId))
  if (from === null) return
  for (const { first, last } of await atHome(deps, home, companyId, (tx) => readArchivedRuns(tx, workspaceId, from))) {
    if (first > sequence) return
    signal.throwIfAborted()
    await inReplica(place, companyId, (tx) => dropEvents(tx, workspaceId, first, Math.min(last, sequence)))
  }
}
