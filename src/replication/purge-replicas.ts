import { destroyAllKeys } from './destroy-replica-keys.js'
import type { ReplicaHead } from './replica-chain.js'
import { inReplica, type ReplicaPlace } from './replica-transaction.js'
import { deleteReplicaHead, deleteRows, holdPurging, markForPurge, resetReplica } from './replica.store.js'
import type { ReplicationDeps } from './replication-deps.js'

const ROWS_PER_STEP = 5_000

/**
 * Deletes the rows of a replica, some at a time; its head, which says that this is going on, stays. It may end anywhere
 * and be repeated.
 */
async function purgeRows(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  { companyId, workspaceId }: ReplicaHead,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const deleted = await inReplica(place, companyId, (tx) => deleteRows(tx, workspaceId, ROWS_PER_STEP))
    deps.onStep?.('replica.purged_some')
    if (deleted === 0) return
  }
}

/**
 * Takes away replicas that are no longer wanted: rows, then the keys they were sealed with, destroyed by turning their
 * buckets, then what says that there was a replica. `heads` are all those of one company and home. Answers how many.
 */
export async function purgeReplicas(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  heads: readonly ReplicaHead[],
  signal: AbortSignal,
): Promise<number> {
  const [one] = heads
  if (one === undefined) return 0
  const { companyId, home } = one
  const ids = heads.map(({ workspaceId }) => workspaceId)
  await inReplica(place, companyId, (tx) => markForPurge(tx, ids))
  for (const head of heads) await purgeRows(deps, place, head, signal)
  // Wanted again meanwhile, and begun anew: then its keys are in use.
  for (const id of ids) if (!(await inReplica(place, companyId, (tx) => holdPurging(tx, id)))) return 0
  await destroyAllKeys(deps, place, { companyId, home }, signal)
  deps.onStep?.('replica.keys_destroyed')
  await inReplica(place, companyId, async (tx) => {
    for (const id of ids) await deleteReplicaHead(tx, id)
  })
  return heads.length
}

/** Deletes a replica's rows and has it begin anew: its keys stay, they are the same as before. */
export async function emptyReplica(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  head: ReplicaHead,
  signal: AbortSignal,
): Promise<void> {
  await purgeRows(deps, place, head, signal)
  await inReplica(place, head.companyId, (tx) => resetReplica(tx, head.workspaceId))
}
