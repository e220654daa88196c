import type { Region } from '../kernel/region.js'
import { fromBytes } from '../ledger/crypto.js'
import { CompactRange } from '../ledger/compact-range.js'
import { parseCheckpoint } from '../ledger/checkpoint.js'
import { keyId } from '../ledger/signed-note.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { CheckpointAlarms } from './checkpoint-alarms.js'
import type { CheckpointCopy } from './checkpoint-copy.store.js'
import { type ChainState, readChainPage, readChainsById, seeAllTenants } from './checkpoint.store.js'
import type { CopyPlace } from './copy-place.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'
import type { RegionKeys } from './signing-keys.js'

const PAGE_CHAINS = 500
const TIMEOUT_MS = 10_000

export interface SweepDeps {
  readonly registry: Pick<RegionRegistry, 'use'>
  readonly alarms: CheckpointAlarms
  /** Where the region's copies are looked for. */
  readonly places: readonly CopyPlace[]
  readonly keys: RegionKeys
  readonly signal: AbortSignal
  /** Chains that have grown since they were signed, or that have yet to be told of the current key. */
  readonly onUnsigned: (chains: readonly ChainState[]) => void
  /** Checkpoints that a place doesn't have yet. */
  readonly onUncopied: (place: CopyPlace, checkpoints: readonly SignedCheckpoint[]) => void
  /** A place that did not answer. */
  readonly onFailure: (place: CopyPlace, error: unknown) => void
}

/**
 * Looks through all chains of a region: what has no checkpoint or copy yet is handed on, and a chain that is behind a
 * signed checkpoint of it, at home or elsewhere, raises an alarm: that is how a region notices that it was restored from
 * an old backup. Answers the number of chains. Throws DatabaseError where the region does not answer.
 */
export async function sweepRegion(deps: SweepDeps, region: Region): Promise<number> {
  let count = 0
  for (let after: string | null = null; ;) {
    const page: ChainState[] = await readAcross(deps, region, (tx) => readChainPage(tx, after, PAGE_CHAINS))
    const isLast = page.length < PAGE_CHAINS
    const upTo = isLast ? null : page.at(-1)!.workspaceId
    count += page.length
    judgeHome(deps, region, page)
    for (const place of deps.places) {
      deps.signal.throwIfAborted()
      try {
        await comparePlace(deps, region, place, page, await place.readRange(region, after, upTo))
      } catch (error) {
        deps.onFailure(place, error)
      }
    }
    deps.signal.throwIfAborted()
    if (upTo === null) return count
    after = upTo
  }
}

const readAcross = (
  deps: SweepDeps,
  region: Region,
  read: (tx: Parameters<typeof readChainPage>[0]) => Promise<ChainState[]>,
): Promise<ChainState[]> =>
  deps.registry.use(region, ({ database }) =>
    database.transaction({ readOnly: true, timeoutMs: TIMEOUT_MS }, async (tx) => {
      await seeAllTenants(tx)
      return read(tx)
    }),
  )

function judgeHome({ alarms, onUnsigned, keys }: SweepDeps, region: Region, page: readonly ChainState[]): void {
  onUnsigned(
    page.filter(
      (chain) =>
        chain.checkpoint === null || chain.checkpoint.treeSize < chain.sequence || isFormerKeys(chain.checkpoint, keys),
    ),
  )
  for (const { workspaceId, sequence, checkpoint } of page)
    if (checkpoint !== null && sequence < checkpoint.treeSize)
      alarms.raise({
        kind: 'ROLLED_BACK',
        region,
        workspaceId,
        place: 'HOME',
        knownSize: checkpoint.treeSize,
        treeSize: sequence,
      })
}

/** Whether a checkpoint bears the signature of another key than the current one, which the chain must be told of. */
function isFormerKeys(checkpoint: SignedCheckpoint, { current, mayAnnounce, name }: RegionKeys): boolean {
  if (current === null || !mayAnnounce) return false
  const id = fromBytes(keyId(current))
  const signatures = parseCheckpoint(checkpoint.note)?.note.signatures ?? []
  return !signatures.some((signature) => signature.name === name && signature.keyId === id)
}

async function comparePlace(
  deps: SweepDeps,
  region: Region,
  place: CopyPlace,
  page: readonly ChainState[],
  copies: readonly CheckpointCopy[],
): Promise<void> {
  const chains = new Map(page.map((chain) => [chain.workspaceId, chain]))
  // A copy may be of what was recorded after the page had been read: what looks wrong is looked at again.
  const odd = copies.filter((copy) => contradiction(chains.get(copy.workspaceId), copy) !== null)
  if (odd.length > 0) {
    const again = await readAcross(deps, region, (tx) =>
      readChainsById(
        tx,
        odd.map(({ workspaceId }) => workspaceId),
      ),
    )
    const now = new Map(again.map((chain) => [chain.workspaceId, chain]))
    for (const copy of odd) {
      const { workspaceId, treeSize: knownSize } = copy
      const chain = now.get(workspaceId)
      const kind = contradiction(chain, copy)
      if (kind !== null)
        deps.alarms.raise({ kind, region, workspaceId, place: place.name, knownSize, treeSize: chain?.sequence ?? 0 })
    }
  }
  const sizes = new Map(copies.map(({ workspaceId, treeSize }) => [workspaceId, treeSize]))
  deps.onUncopied(
    place,
    page.flatMap(({ workspaceId, checkpoint }) =>
      checkpoint !== null && (sizes.get(workspaceId) ?? 0) < checkpoint.treeSize ? [checkpoint] : [],
    ),
  )
}

function contradiction(chain: ChainState | undefined, copy: SignedCheckpoint): 'ROLLED_BACK' | 'FORKED' | null {
  if (chain === undefined || chain.sequence < copy.treeSize) return 'ROLLED_BACK'
  const { checkpoint } = chain
  if (checkpoint?.treeSize === copy.treeSize && !checkpoint.rootHash.equals(copy.rootHash)) return 'FORKED'
  if (chain.sequence > copy.treeSize) return null
  return headRoot(chain)?.equals(copy.rootHash) === true ? null : 'FORKED'
}

function headRoot({ sequence, frontier }: ChainState): Buffer | null {
  try {
    return CompactRange.fromBytes(sequence, frontier).root()
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}
