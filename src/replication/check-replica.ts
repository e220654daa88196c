import type { Transaction } from '../db/database.js'
import { stop } from './copy-chain.js'
import { homeDigests } from './home.store.js'
import { ReplicaFault, type ReplicaHead, type ReplicatedChain } from './replica-chain.js'
import { atHome, inReplica, type ReplicaPlace } from './replica-transaction.js'
import { digestsOf, findHash, findReplicaHead, markChecked } from './replica.store.js'
import type { ReplicationDeps } from './replication-deps.js'

const EVENTS_PER_STEP = 5_000

/**
 * Compares rows of a replica with those of its home, every column of them, going on where it stopped last and beginning
 * anew at the end: at most `eventsMax` of them. A row that differs or is missing stops the replica and
 * raises the alarm. Answers how many were compared.
 */
export async function checkReplica(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  chain: ReplicatedChain,
  eventsMax: number,
  signal: AbortSignal,
): Promise<number> {
  let checked = 0
  try {
    while (checked < eventsMax) {
      signal.throwIfAborted()
      const step = await checkSome(deps, place, chain)
      checked += step.checked
      if (step.isLast) break
    }
  } catch (error) {
    if (!(error instanceof ReplicaFault)) throw error
    await stop(deps, place, chain, error)
  }
  return checked
}

async function checkSome(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  chain: ReplicatedChain,
): Promise<{ readonly checked: number; readonly isLast: boolean }> {
  const { workspaceId, companyId } = chain
  // The replica first: what home has by then it has too.
  const here = await inReplica(place, companyId, async (tx) => {
    const head = await findReplicaHead(tx, workspaceId)
    if (head === null || head.state !== 'COPYING') return null
    const after = head.checkedSequence >= head.sequence ? 0 : head.checkedSequence
    const upTo = Math.min(head.sequence, after + EVENTS_PER_STEP)
    return { head, after, upTo, digests: await stored(tx, head, after, upTo) }
  })
  if (here === null || here.upTo === 0) return { checked: 0, isLast: true }
  const { head, after, upTo } = here
  const home = await atHome(deps, chain.home, companyId, (tx) => homeDigests(tx, workspaceId, after, upTo))
  // An erasure that has not come here yet explains any difference: it will be looked at once it has.
  if (home.lastErasure > head.sequence) return { checked: 0, isLast: true }
  // What archives have taken at home is compared no more, whether or not it was taken here too.
  for (const [sequence, digest] of home.digests)
    if (here.digests.get(sequence) !== digest) throw new ReplicaFault('ROWS_MISMATCH', sequence)
  await inReplica(place, companyId, (tx) => markChecked(tx, workspaceId, upTo))
  return { checked: upTo - after, isLast: upTo >= head.sequence }
}

/** What the rows come to. The last event has to be the one the head was made from, or the head itself was changed. */
async function stored(
  tx: Transaction,
  { workspaceId, sequence, hash, droppedSequence }: ReplicaHead,
  after: number,
  upTo: number,
): Promise<ReadonlyMap<number, string>> {
  if (sequence > droppedSequence && !(await findHash(tx, workspaceId, sequence))?.equals(hash))
    throw new ReplicaFault('ROWS_MISMATCH', sequence)
  return digestsOf(tx, workspaceId, after, upTo)
}
