import { setTimeout as wait } from 'node:timers/promises'
import { readErasureTotals } from '../gdpr/erasure.store.js'
import type { ReplicaErasure, ReplicaEvidence } from '../gdpr/erasure-deps.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { listReplicaRegions, raiseErasureFloors } from '../regions/replica-state.store.js'
import { copyChain, replicaHeadOf } from './copy-chain.js'
import { destroyOrphanedKeys } from './destroy-replica-keys.js'
import { readLastErasures } from './home.store.js'
import { purgeReplicas } from './purge-replicas.js'
import type { ReplicatedChain } from './replica-chain.js'
import { atHome, inReplica, overReplicas, type ReplicaPlace } from './replica-transaction.js'
import { listReplicaHeads } from './replica.store.js'
import type { ReplicationDeps } from './replication-deps.js'

/** How long a process that copies the same chain just now is waited for. */
const WAIT_MS_MAX = 10_000
const WAIT_STEP_MS = 50

/** Follows erasures into replicas: see {@link ReplicaErasure}. */
export const replicaErasure = (deps: ReplicationDeps): ReplicaErasure => ({
  erased: ({ companyId, workspaceId }, sequence) =>
    raiseErasureFloors(deps.control, companyId, [{ workspaceId, sequence }]),
  apply: (request, workspaces, signal) => applyErasure(deps, request, workspaces, signal),
  async regionsOf(companyId) {
    const { wanted, known } = await listReplicaRegions(deps.control, companyId)
    return [...new Set([...wanted, ...known])]
  },
})

async function applyErasure(
  deps: ReplicationDeps,
  request: { readonly id: string; readonly companyId: string },
  workspaces: ReadonlyMap<Region, readonly string[]>,
  signal: AbortSignal,
): Promise<readonly ReplicaEvidence[]> {
  const { companyId } = request
  const { wanted, known } = await listReplicaRegions(deps.control, companyId)
  const replicas = new Set([...wanted, ...known])
  if (replicas.size === 0) return []
  const floors = new Map<string, number>()
  for (const [home, ids] of workspaces) {
    const own = await atHome(deps, home, companyId, (tx) => readLastErasures(tx, ids))
    // Said again: a process may have died between an erasure and telling of it.
    await raiseErasureFloors(deps.control, companyId, own)
    for (const { workspaceId, sequence } of own) floors.set(workspaceId, sequence)
  }
  const evidence: ReplicaEvidence[] = []
  for (const region of replicas)
    await deps.registry.use(region, async (place) => {
      const chains = chainsFor(place, companyId, workspaces)
      if (!wanted.includes(region)) await purgeAll(deps, place, companyId, signal)
      else for (const chain of chains) await catchUp(deps, place, chain, floors.get(chain.workspaceId) ?? 0, signal)
      evidence.push(...(await settle(deps, place, request, chains, signal)))
    })
  return evidence
}

const chainsFor = (
  place: ReplicaPlace,
  companyId: string,
  workspaces: ReadonlyMap<Region, readonly string[]>,
): ReplicatedChain[] =>
  [...workspaces]
    .filter(([home]) => home !== place.region)
    .flatMap(([home, ids]) => ids.map((workspaceId) => ({ workspaceId, companyId, home })))

/** What is to be deleted anyway goes first: nothing that was erased may be in it when the request is done. */
async function purgeAll(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  companyId: string,
  signal: AbortSignal,
): Promise<void> {
  const heads = (await overReplicas(place, (tx) => listReplicaHeads(tx))).filter((head) => head.companyId === companyId)
  for (const own of Map.groupBy(heads, ({ home }) => home).values()) await purgeReplicas(deps, place, own, signal)
}

/** Copies a chain as far as its newest erasure, or waits for who does. Throws REGION_UNAVAILABLE where it can't be done now. */
async function catchUp(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  chain: ReplicatedChain,
  floor: number,
  signal: AbortSignal,
): Promise<void> {
  const untilMs = performance.now() + WAIT_MS_MAX
  for (;;) {
    const head = await replicaHeadOf(place, chain)
    // One that was not begun yet holds nothing, and will begin with what is left.
    if (head === null || (head.state === 'COPYING' && head.sequence >= floor)) return
    if (head.state !== 'COPYING') throw waitsFor(place, 'is stopped or being rebuilt')
    const { copied } = await copyChain(deps, place, chain, signal)
    if (copied > 0) continue
    if (performance.now() > untilMs) throw waitsFor(place, 'is behind')
    await wait(WAIT_STEP_MS)
  }
}

const waitsFor = ({ region }: ReplicaPlace, why: string): DomainError =>
  new DomainError('REGION_UNAVAILABLE', `A replica in ${region} ${why}: the erasure waits for it.`, {
    details: { regions: [region] },
  })

async function settle(
  deps: ReplicationDeps,
  place: ReplicaPlace,
  { id, companyId }: { readonly id: string; readonly companyId: string },
  chains: readonly ReplicatedChain[],
  signal: AbortSignal,
): Promise<readonly ReplicaEvidence[]> {
  let keys = 0
  for (const home of new Set(chains.map((chain) => chain.home)))
    keys += await destroyOrphanedKeys(deps, place, { companyId, home }, signal)
  const ids = chains.map(({ workspaceId }) => workspaceId)
  const { events, resealed } = await inReplica(place, companyId, (tx) => readErasureTotals(tx, ids, id))
  const { region } = place
  return [
    { region, store: 'replica events', records: events },
    { region, store: 'replica subject keys', records: keys },
    { region, store: 'earlier versions of other replicated events in the log', records: resealed },
  ]
}
