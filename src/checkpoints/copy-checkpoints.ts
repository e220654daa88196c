import { LRUCache } from 'lru-cache'
import type { Region } from '../kernel/region.js'
import { consistencyProof } from '../ledger/proof.js'
import { verifyConsistency } from '../ledger/proof-verification.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { CheckpointAlarms } from './checkpoint-alarms.js'
import type { CheckpointCopy } from './checkpoint-copy.store.js'
import type { CopyPlace } from './copy-place.js'
import { wholeRanges } from './sign-chain.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'
import { treeNodeReader } from './tree-node.store.js'

const TIMEOUT_MS = 5_000
const REMEMBERED_MAX = 50_000

export interface CopyDeps {
  readonly registry: Pick<RegionRegistry, 'use'>
  readonly alarms: CheckpointAlarms
  /** What was seen to be kept at each place, by {@link keptName}: what continues it need not be proven again. */
  readonly kept: LRUCache<string, string>
}

/** An empty memory for {@link CopyDeps}. */
export const newKeptMemory = (): LRUCache<string, string> => new LRUCache({ max: REMEMBERED_MAX })

const keptName = (place: CopyPlace, workspaceId: string): string => `${place.name} ${workspaceId}`
const keptValue = ({ treeSize, rootHash }: SignedCheckpoint): string => `${treeSize} ${rootHash.toString('hex')}`

/**
 * Brings checkpoints of a region's chains to a place outside it. A copy is only ever replaced by a larger checkpoint that
 * is proven to continue it; any other is kept, and raises an alarm. Throws DatabaseError of either side.
 */
export async function copyCheckpoints(
  deps: CopyDeps,
  home: Region,
  place: CopyPlace,
  checkpoints: readonly SignedCheckpoint[],
): Promise<void> {
  const kept = new Map(
    (await place.read(checkpoints.map(({ workspaceId }) => workspaceId))).map((copy) => [copy.workspaceId, copy]),
  )
  const fresh: SignedCheckpoint[] = []
  const unproven: { readonly from: CheckpointCopy; readonly to: SignedCheckpoint }[] = []
  for (const checkpoint of checkpoints) {
    const copy = kept.get(checkpoint.workspaceId)
    if (copy === undefined) fresh.push(checkpoint)
    else if (copy.treeSize < checkpoint.treeSize) {
      if (deps.kept.get(keptName(place, copy.workspaceId)) === keptValue(copy)) fresh.push(checkpoint)
      else unproven.push({ from: copy, to: checkpoint })
    } else if (copy.treeSize === checkpoint.treeSize && !copy.rootHash.equals(checkpoint.rootHash))
      raise(deps, home, place, copy, checkpoint)
  }
  if (unproven.length > 0) fresh.push(...(await provenOf(deps, home, place, unproven)))
  if (fresh.length > 0) await place.write(home, fresh)
  for (const checkpoint of fresh) deps.kept.set(keptName(place, checkpoint.workspaceId), keptValue(checkpoint))
}

async function provenOf(
  deps: CopyDeps,
  home: Region,
  place: CopyPlace,
  pairs: readonly { readonly from: CheckpointCopy; readonly to: SignedCheckpoint }[],
): Promise<SignedCheckpoint[]> {
  const companies = [...new Set(pairs.map(({ to }) => to.companyId))]
  return deps.registry.use(home, ({ database }) =>
    database.transaction({ companies, readOnly: true, timeoutMs: TIMEOUT_MS }, async (tx) => {
      const proven: SignedCheckpoint[] = []
      await Promise.all(
        pairs.map(async ({ from, to }) => {
          const read = wholeRanges(treeNodeReader(tx, to.workspaceId))
          const hashes = await consistencyProof(from.treeSize, to.treeSize, read)
          const continued = verifyConsistency({
            fromSize: from.treeSize,
            toSize: to.treeSize,
            fromRoot: from.rootHash,
            toRoot: to.rootHash,
            hashes,
          })
          if (continued) proven.push(to)
          else raise(deps, home, place, from, to)
        }),
      )
      return proven
    }),
  )
}

const raise = (deps: CopyDeps, region: Region, place: CopyPlace, copy: CheckpointCopy, own: SignedCheckpoint): void =>
  deps.alarms.raise({
    kind: 'FORKED',
    region,
    workspaceId: copy.workspaceId,
    place: place.name,
    knownSize: copy.treeSize,
    treeSize: own.treeSize,
  })
