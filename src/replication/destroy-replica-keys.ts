import { announceErasure } from '../gdpr/erasure-work.store.js'
import { turnBucket } from '../gdpr/turn-bucket.js'
import { pagesById } from '../kernel/pages-by-id.js'
import type { Region } from '../kernel/region.js'
import { findKeyIds } from './home.store.js'
import { awaitKeyCopies, findReplicaKeys, listReplicaKeys, type ReplicaKey } from './replica-keys.store.js'
import { atHome, inReplica, type ReplicaPlace } from './replica-transaction.js'
import type { ReplicationDeps } from './replication-deps.js'

const KEYS_PER_PAGE = 5_000

/** What a company keeps in one region of its chains in another. */
export interface ReplicaOwner {
  readonly companyId: string
  readonly home: Region
}

/**
 * Destroys in a replica region every key that home has destroyed, by turning buckets. It heals itself: whatever was
 * missed before is found by its id, which home no longer has. Answers how many were destroyed. Throws DatabaseError and
 * REGION_UNAVAILABLE of either side.
 */
export async function destroyOrphanedKeys(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  owner: ReplicaOwner,
  signal: AbortSignal,
): Promise<number> {
  return destroyWhere(deps, place, owner, signal, async (keys) => {
    const ids = keys.map(({ id }) => id)
    const kept = await atHome(deps, owner.home, owner.companyId, (tx) => findKeyIds(tx, ids))
    return keys.filter(({ id }) => !kept.has(id))
  })
}

/** Destroys every key that a company's replicas in a region were sealed with. */
export const destroyAllKeys = (
  deps: ReplicationDeps,
  place: ReplicaPlace,
  owner: ReplicaOwner,
  signal: AbortSignal,
): Promise<number> => destroyWhere(deps, place, owner, signal, (keys) => Promise.resolve(keys))

async function destroyWhere(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  { companyId, home }: ReplicaOwner,
  signal: AbortSignal,
  choose: (keys: readonly ReplicaKey[]) => Promise<readonly ReplicaKey[]>,
): Promise<number> {
  const doomed: ReplicaKey[] = []
  await inReplica(place, companyId, awaitKeyCopies)
  const pages = pagesById(KEYS_PER_PAGE, (after, limit) =>
    inReplica(place, companyId, (tx) => listReplicaKeys(tx, companyId, home, after, limit)),
  )
  for await (const page of pages) doomed.push(...(await choose(page)))
  let destroyed = 0
  for (const [bucket, keys] of Map.groupBy(doomed, (key) => key.bucket)) {
    signal.throwIfAborted()
    const ids = keys.map(({ id }) => id)
    const turn = { ...deps, onStep: (step: string) => deps.onStep?.(step) }
    destroyed += await turnBucket(turn, place, bucket, [companyId], (tx) => findReplicaKeys(tx, ids))
  }
  if (doomed.length > 0) await announceErasure(deps.control, place.region)
  return destroyed
}
