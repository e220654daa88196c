import { type SignedCheckpoint, signerOf } from '../checkpoints/signed-checkpoint.js'
import { DatabaseError } from '../db/database-error.js'
import type { Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { CompactRange } from '../ledger/index.js'
import { checkErasures, checkStretch } from './check-stretch.js'
import { addKeys, keyIdsIn, missingKeys } from './copy-keys.js'
import { type HomeHead, type HomeStretch, readEvents, readStretch, readTombstones } from './home.store.js'
import { numbersOf } from './read-array.js'
import { ReplicaFault, type ReplicaHead, type ReplicatedChain } from './replica-chain.js'
import { atHome, inReplica, type ReplicaPlace } from './replica-transaction.js'
import {
  extendReplica,
  findCheckpointSize,
  findReplicaHead,
  insertTombstones,
  keepCheckpoints,
  lockReplicaHead,
  markDropped,
  replaceEvents,
  stopReplica,
  type StoredTombstone,
} from './replica.store.js'
import type { ReplicationDeps } from './replication-deps.js'

/** Stretches of one chain in a row, so that a long one does not hold up the others. */
const STRETCHES_MAX = 25
/** What of an erased event is fetched again at a time. */
const REFETCHED_EVENTS_MAX = 1_000

/** What became of one step: `copied` events, or why there was nothing to be done. */
type Step = { readonly copied: number } | 'done' | 'elsewhere'

/** How many events were copied, and whether there are more to copy. */
export interface CopiedChain {
  readonly copied: number
  readonly isBehind: boolean
}

/**
 * Copies a chain to a replica from where that stands, stretch by stretch, each one transaction of the replica: rows,
 * tree, keys, what erasures took, and the position. So it may end anywhere, with the process too, and several processes
 * may be at it: whoever holds the head goes on, the others leave it. What does not fit stops the replica and raises an
 * alarm; nothing is ever repaired. Throws DatabaseError and REGION_UNAVAILABLE of either side.
 */
export async function copyChain(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  chain: ReplicatedChain,
  signal: AbortSignal,
): Promise<CopiedChain> {
  let copied = 0
  let ahead: Ahead | null = null
  try {
    for (let stretches = 0; stretches < STRETCHES_MAX; stretches++) {
      signal.throwIfAborted()
      const step = await copyStretch(deps, place, chain, ahead, (next) => (ahead = next))
      deps.onStep?.('stretch.stored')
      if (typeof step === 'string') return { copied, isBehind: false }
      copied += step.copied
    }
    return { copied, isBehind: true }
  } catch (error) {
    const fault = await faultOf(error, place, chain)
    if (fault === null) throw error
    await stop(deps, place, chain, fault)
    return { copied, isBehind: false }
  } finally {
    await (ahead as Ahead | null)?.stretch.catch(() => undefined)
  }
}

async function faultOf(error: unknown, place: ReplicaPlace, chain: ReplicatedChain): Promise<ReplicaFault | null> {
  if (error instanceof ReplicaFault) return error
  if (!(error instanceof DatabaseError) || error.kind !== 'unique_violation') return null
  // Somebody else has put a row where only the next event can be.
  return new ReplicaFault('ROWS_MISMATCH', ((await replicaHeadOf(place, chain))?.sequence ?? 0) + 1)
}

/** A stretch that is being read while the one before it is written. */
interface Ahead {
  readonly after: number
  readonly stretch: Promise<HomeStretch | null>
}

async function copyStretch(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  chain: ReplicatedChain,
  ahead: Ahead | null,
  onAhead: (next: Ahead | null) => void,
): Promise<Step> {
  const readAfter = (after: number): Ahead => {
    const stretch = atHome(deps, chain.home, chain.companyId, (tx) => readStretch(tx, chain.workspaceId, after))
    // Awaited later: a failure until then is not an unhandled one.
    stretch.catch(() => undefined)
    return { after, stretch }
  }
  const { after, stretch: reading } = ahead ?? readAfter((await replicaHeadOf(place, chain))?.sequence ?? 0)
  // Before the head is locked: a home that hangs keeps no other process from it.
  const stretch = await reading
  onAhead(null)
  if (stretch === null) return 'done'
  return inReplica(place, chain.companyId, async (tx) => {
    const head = await lockReplicaHead(tx, chain.workspaceId)
    if (head === null || head.state !== 'COPYING') return 'elsewhere'
    // Another process was faster: from where it got to, then.
    if (head.sequence !== after) return { copied: 0 }
    onAhead(readAfter(after + stretch.count))
    await storeStretch(deps, tx, { place, chain, head, stretch })
    deps.onStep?.('stretch.written')
    return { copied: stretch.count }
  })
}

async function storeStretch(
  deps: ReplicationDeps,
  tx: Transaction,
  {
    place,
    chain,
    head,
    stretch,
  }: { place: ReplicaPlace; chain: ReplicatedChain; head: ReplicaHead; stretch: HomeStretch },
): Promise<void> {
  const { columns, links, bodyHashes, erasures, newest } = stretch
  const known = newest === null ? stretch.history : [...stretch.history, newest]
  for (const checkpoint of known) await requireSigned(deps, chain.home, checkpoint)
  const checked = checkStretch(head, links, bodyHashes, known)
  const tombstones =
    erasures.size === 0
      ? []
      : await atHome(deps, chain.home, chain.companyId, (own) =>
          readTombstones(own, chain.workspaceId, [...erasures.keys()]),
        )
  checkErasures(chain.workspaceId, erasures, tombstones)
  const missing = await missingKeys(tx, columns === null ? new Set() : keyIdsIn(columns))
  // The one works in the database while the other asks home and wraps keys.
  await Promise.all([extendReplica(tx, chain, columns, checked), addKeys(deps, tx, place.region, chain, missing)])
  const { reached } = checked
  await keepCheckpoints(
    tx,
    reached.at(-1) ?? null,
    stretch.history.filter((one) => reached.includes(one)),
  )
  if (tombstones.length > 0) await applyErasures(deps, tx, place.region, chain, head, tombstones)
}

/** Takes from events stored earlier what erasures took at home: they are fetched again, as they are now. */
async function applyErasures(
  deps: ReplicationDeps,
  tx: Transaction,
  replica: Region,
  chain: ReplicatedChain,
  before: ReplicaHead,
  tombstones: readonly StoredTombstone[],
): Promise<void> {
  const { workspaceId, companyId, home } = chain
  await insertTombstones(tx, chain, tombstones)
  // What came with the erasure itself was read when it had happened already.
  const sequences = [...new Set(tombstones.map(({ sequence }) => sequence))].filter((one) => one <= before.sequence)
  for (let at = 0; at < sequences.length; at += REFETCHED_EVENTS_MAX) {
    const some = sequences.slice(at, at + REFETCHED_EVENTS_MAX)
    const columns = await atHome(deps, home, companyId, (own) => readEvents(own, workspaceId, some))
    if (columns !== null) await addKeys(deps, tx, replica, chain, await missingKeys(tx, keyIdsIn(columns)))
    await replaceEvents(tx, workspaceId, some, columns)
    const kept = new Set(columns === null ? [] : numbersOf(columns.sequence))
    const archived = some.filter((one) => !kept.has(one))
    // There is a gap from now on, which is no break of the chain.
    if (archived.length > 0) await markDropped(tx, workspaceId, Math.max(...archived))
  }
}

/** Throws {@link ReplicaFault} for a checkpoint that no key of the home region has signed. */
async function requireSigned(
  { signingKeys }: ReplicationDeps,
  home: Region,
  checkpoint: SignedCheckpoint,
): Promise<void> {
  const { logName } = signingKeys
  if (signerOf(checkpoint, logName, (await signingKeys.of(home)).trusted) !== null) return
  // A key that another process made since is no fault.
  if (signerOf(checkpoint, logName, (await signingKeys.refresh(home)).trusted) !== null) return
  throw new ReplicaFault('CHECKPOINT_MISMATCH', checkpoint.treeSize)
}

/**
 * Compares a replica that has all of its home with how far home is: a checkpoint signed of it since is kept, a home that
 * has fewer events stops it.
 */
export async function settleChain(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  head: ReplicaHead,
  home: HomeHead | undefined,
): Promise<void> {
  try {
    if ((home?.sequence ?? 0) < head.sequence) throw new ReplicaFault('HOME_BEHIND', head.sequence)
    const checkpoint = home?.checkpoint ?? null
    if (checkpoint === null || checkpoint.treeSize !== head.sequence) return
    await inReplica(place, head.companyId, async (tx) => {
      if ((await findCheckpointSize(tx, head.workspaceId)) >= checkpoint.treeSize) return
      await requireSigned(deps, head.home, checkpoint)
      const root = CompactRange.fromBytes(head.sequence, head.frontier).root()
      if (!root.equals(checkpoint.rootHash)) throw new ReplicaFault('CHECKPOINT_MISMATCH', head.sequence)
      await keepCheckpoints(tx, checkpoint, [])
    })
  } catch (error) {
    if (!(error instanceof ReplicaFault)) throw error
    await stop(deps, place, head, error)
  }
}

/** Stops a replica for what was found of it. */
export async function stop(
  { alarms }: Pick<ReplicationDeps, 'alarms'>,
  place: ReplicaPlace,
  chain: ReplicatedChain,
  { reason, sequence }: ReplicaFault,
): Promise<void> {
  await inReplica(place, chain.companyId, (tx) => stopReplica(tx, chain.workspaceId, reason))
  alarms.raise(chain, place.region, reason, sequence)
}

/** How far a replica is now; null where it was not begun. */
export const replicaHeadOf = (place: ReplicaPlace, chain: ReplicatedChain): Promise<ReplicaHead | null> =>
  inReplica(place, chain.companyId, (tx) => findReplicaHead(tx, chain.workspaceId))
