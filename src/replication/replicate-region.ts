import type { Region } from '../kernel/region.js'
import { forgetReplicas, listPlannedReplicas, type PlannedReplica } from '../regions/replica-state.store.js'
import { checkReplica } from './check-replica.js'
import { type CopiedChain, copyChain, replicaHeadOf, settleChain } from './copy-chain.js'
import { destroyOrphanedKeys } from './destroy-replica-keys.js'
import { dropArchived } from './drop-archived.js'
import { type HomeHead, readHomeHeads } from './home.store.js'
import { emptyReplica, purgeReplicas } from './purge-replicas.js'
import type { ReplicaHead } from './replica-chain.js'
import { inReplica, overHome, overReplicas, type ReplicaPlace } from './replica-transaction.js'
import { createReplicaHeads, listReplicaHeads, markFilled } from './replica.store.js'
import type { ReplicationDeps } from './replication-deps.js'

/** Rows of one replica that one run compares with its home. */
const ROWS_CHECKED_MAX = 100_000

/** What a round of a region's replicas came to. */
export interface ReplicationRound {
  readonly copied: number
  /** Chains that there is more of to copy. */
  readonly behind: readonly string[]
  /** Homes that could not be asked, or chains that could not be copied from them. */
  readonly failures: readonly unknown[]
}

/**
 * One round for the replicas that a region keeps: those no longer wanted are purged, new ones begun, and each is copied
 * to where its home is. `onPlanned` is told what is to be copied before anything is. One home that is down does not hold
 * up the others. Throws DatabaseError and REGION_UNAVAILABLE
 * where the replica region itself, or control, does not answer.
 */
export async function replicateRegion(
  deps: ReplicationDeps,
  replica: Region,
  signal: AbortSignal,
  onPlanned: (planned: readonly PlannedReplica[]) => void = () => undefined,
): Promise<ReplicationRound> {
  const planned = await listPlannedReplicas(deps.control, replica)
  onPlanned(planned)
  return inRegion(deps, replica, signal, async (own, place) => {
    const heads = await adjustReplicas(own, place, planned, signal)
    return copyAll(own, place, heads, signal)
  })
}

/** A round for some of a region's replicas only, which were begun before. */
export const replicateSome = (
  deps: ReplicationDeps,
  replica: Region,
  workspaceIds: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ReplicationRound> =>
  inRegion(deps, replica, signal, async (own, place) => {
    const heads = await overReplicas(place, (tx) => listReplicaHeads(tx, [...workspaceIds]))
    return copyAll(own, place, heads, signal)
  })

/** Does something in a region that ends soon after the signal is aborted, whatever hangs. */
const inRegion = <T>(
  deps: ReplicationDeps,
  replica: Region,
  signal: AbortSignal,
  work: (own: ReplicationDeps, place: ReplicaPlace) => Promise<T>,
): Promise<T> =>
  deps.registry.use(replica, ({ region, database }) => work({ ...deps, signal }, { region, database, signal }))

async function copyAll(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  heads: readonly ReplicaHead[],
  signal: AbortSignal,
): Promise<ReplicationRound> {
  const failures: unknown[] = []
  const behind: string[] = []
  let copied = 0
  await Promise.all(
    [...Map.groupBy(heads, ({ home }) => home)].map(async ([home, own]) => {
      try {
        const from = await copyFrom(deps, place, home, own, signal)
        copied += from.copied
        behind.push(...from.behind)
      } catch (error) {
        if (signal.aborted) throw error
        failures.push(error)
      }
    }),
  )
  return { copied, behind, failures }
}

/** Begins what is planned, purges what is not; answers the replicas that are there then. */
async function adjustReplicas(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  planned: readonly PlannedReplica[],
  signal: AbortSignal,
): Promise<readonly ReplicaHead[]> {
  const before = await overReplicas(place, (tx) => listReplicaHeads(tx))
  const wanted = new Set(planned.map(({ workspaceId }) => workspaceId))
  const unwanted = before.filter(({ workspaceId }) => !wanted.has(workspaceId))
  const begun = before.filter(({ workspaceId }) => wanted.has(workspaceId))
  for (const own of Map.groupBy(unwanted, ({ companyId, home }) => `${companyId} ${home}`).values()) {
    await purgeReplicas(deps, place, own, signal)
    const ids = own.map(({ workspaceId }) => workspaceId)
    await forgetReplicas(deps.control, place.region, ids)
    deps.reports.forget(place.region, ids)
    deps.log.info({ replica: place.region, region: own[0]!.home, chains: own.length }, 'replicas were purged')
  }
  for (const head of begun) if (head.state === 'PURGING') await emptyReplica(deps, place, head, signal)
  const known = new Set(begun.map(({ workspaceId }) => workspaceId))
  const missing = planned.filter(({ workspaceId }) => !known.has(workspaceId))
  for (const [companyId, own] of Map.groupBy(missing, (chain) => chain.companyId))
    await inReplica(place, companyId, (tx) => createReplicaHeads(tx, own))
  return missing.length === 0 && begun.every(({ state }) => state !== 'PURGING')
    ? begun
    : (await overReplicas(place, (tx) => listReplicaHeads(tx))).filter(({ workspaceId }) => wanted.has(workspaceId))
}

async function copyFrom(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  home: Region,
  heads: readonly ReplicaHead[],
  signal: AbortSignal,
): Promise<{ readonly copied: number; readonly behind: readonly string[] }> {
  // After the replicas' own heads: so none can seem to be ahead of its home.
  const ids = heads.map(({ workspaceId }) => workspaceId)
  const homeHeads = await overHome(deps, home, (tx) => readHomeHeads(tx, ids))
  const byId = new Map(homeHeads.map((head) => [head.workspaceId, head]))
  let copied = 0
  const behind: string[] = []
  const after: ReplicaHead[] = []
  for (const head of heads) {
    const atHome = byId.get(head.workspaceId)
    const one = await copyOne(deps, place, head, atHome, signal)
    copied += one.copied
    if (one.isBehind) behind.push(head.workspaceId)
    const isMoved = head.state === 'COPYING' && head.sequence !== (atHome?.sequence ?? 0)
    after.push(isMoved ? ((await replicaHeadOf(place, head)) ?? head) : head)
  }
  await report(deps, place, after, byId)
  return { copied, behind }
}

async function copyOne(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  head: ReplicaHead,
  atHome: HomeHead | undefined,
  signal: AbortSignal,
): Promise<CopiedChain> {
  if (head.state === 'STOPPED')
    deps.alarms.raise(head, place.region, head.stoppedReason ?? 'CHAIN_MISMATCH', head.sequence)
  if (head.state !== 'COPYING') return nothing
  if ((atHome?.sequence ?? 0) > head.sequence) return copyChain(deps, place, head, signal)
  await settleChain(deps, place, head, atHome)
  return nothing
}

const nothing: CopiedChain = { copied: 0, isBehind: false }

/** Notes in control how far replicas are, and lets those be read that have everything for the first time. */
async function report(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  heads: readonly ReplicaHead[],
  atHome: ReadonlyMap<string, HomeHead>,
): Promise<void> {
  const isCurrent = (head: ReplicaHead): boolean =>
    head.state === 'COPYING' && head.sequence >= (atHome.get(head.workspaceId)?.sequence ?? 0)
  const filled = heads.filter((head) => !head.isFilled && isCurrent(head))
  for (const [companyId, own] of Map.groupBy(filled, (head) => head.companyId))
    await inReplica(place, companyId, (tx) =>
      markFilled(
        tx,
        own.map(({ workspaceId }) => workspaceId),
      ),
    )
  await deps.reports.tell(
    place.region,
    heads.map((head) => ({
      workspaceId: head.workspaceId,
      companyId: head.companyId,
      home: head.home,
      sequence: head.sequence,
      isCurrent: isCurrent(head),
      stoppedReason: head.stoppedReason,
    })),
  )
}

/**
 * What a region's replicas need besides being copied: what archives have taken goes, rows are compared with home, some at
 * each run, and keys that home has destroyed are destroyed here. Answers how many rows were compared; homes that don't answer are left for the next
 * run.
 */
export async function tendReplicas(deps: ReplicationDeps, replica: Region, signal: AbortSignal): Promise<number> {
  return inRegion(deps, replica, signal, async (within, place) => {
    const heads = (await overReplicas(place, (tx) => listReplicaHeads(tx))).filter(({ state }) => state === 'COPYING')
    let checked = 0
    for (const own of Map.groupBy(heads, ({ companyId, home }) => `${companyId} ${home}`).values()) {
      const [{ companyId, home }] = own as [ReplicaHead]
      try {
        await destroyOrphanedKeys(within, place, { companyId, home }, signal)
        for (const head of own) {
          await dropArchived(within, place, head, signal)
          checked += await checkReplica(within, place, head, ROWS_CHECKED_MAX, signal)
        }
      } catch (error) {
        if (signal.aborted) throw error
        deps.log.warn({ err: error, region: home, replica }, 'replicas could not be compared with their home')
      }
    }
    return checked
  })
}
