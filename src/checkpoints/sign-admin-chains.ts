import type { Database, Transaction } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { CompactRange } from '../ledger/compact-range.js'
import {
  type AdminChainToSign,
  listUnsignedAdminChains,
  readAdminChainToSign,
  readAdminHashes,
  storeAdminCheckpoint,
} from './admin-checkpoint.store.js'
import type { CheckpointAlarm, CheckpointAlarms } from './checkpoint-alarms.js'
import { makeCheckpoint, type SignedCheckpoint, signerOf } from './signed-checkpoint.js'
import type { RegionKeys, SigningKeys } from './signing-keys.js'

const TIMEOUT_MS = 30_000

export interface AdminSigningDeps {
  readonly control: Database
  readonly keys: SigningKeys
  readonly alarms: Pick<CheckpointAlarms, 'raise'>
  readonly clock: Clock
}

/** Signs every chain of the admin log that has grown; answers how many it signed. Throws DatabaseError. */
export async function signAdminChains(deps: AdminSigningDeps, signal: AbortSignal): Promise<number> {
  const keys = await deps.keys.refresh('CONTROL')
  let signed = 0
  for (const chainId of await listUnsignedAdminChains(deps.control)) {
    signal.throwIfAborted()
    if ((await sign(deps, keys, chainId))?.isNew === true) signed++
  }
  return signed
}

/**
 * The newest checkpoint of one chain of the admin log, up to its end where that may be signed; null where there is
 * none. As a witness would, it signs only what continues the checkpoint before; what does not raises an alarm. Any number
 * of processes may do this at once. Throws DatabaseError.
 */
export async function signAdminChain(deps: AdminSigningDeps, chainId: string): Promise<SignedCheckpoint | null> {
  return (await sign(deps, await deps.keys.refresh('CONTROL'), chainId))?.checkpoint ?? null
}

async function sign(
  deps: AdminSigningDeps,
  keys: RegionKeys,
  chainId: string,
): Promise<{ readonly checkpoint: SignedCheckpoint; readonly isNew: boolean } | null> {
  return deps.control.transaction({ timeoutMs: TIMEOUT_MS }, async (tx) => {
    const chain = await readAdminChainToSign(tx, chainId)
    if (chain === null) return null
    const { checkpoint: stored, sequence } = chain
    const kind = await contradictionOf(tx, chainId, chain, keys, deps.keys.logName)
    if (kind !== null) {
      const knownSize = stored?.treeSize ?? sequence
      deps.alarms.raise({
        kind,
        region: 'CONTROL',
        workspaceId: chainId,
        place: 'CONTROL',
        knownSize,
        treeSize: sequence,
      })
    }
    if (kind !== null || keys.current === null || stored?.treeSize === sequence)
      return stored && { checkpoint: stored, isNew: false }
    const rootHash = CompactRange.fromBytes(sequence, chain.frontier).root()
    const tree = { workspaceId: chainId, companyId: chainId, treeSize: sequence, rootHash }
    const checkpoint = makeCheckpoint(tree, deps.keys.logName, keys.current, deps.clock.now())
    await storeAdminCheckpoint(tx, checkpoint, chain.frontier)
    return { checkpoint, isNew: true }
  })
}

/** How the chain contradicts its checkpoint, or its own entries the head; null where it does not. */
async function contradictionOf(
  tx: Transaction,
  chainId: string,
  { sequence, frontier, checkpoint }: AdminChainToSign,
  keys: RegionKeys,
  logName: string,
): Promise<CheckpointAlarm['kind'] | null> {
  if (checkpoint !== null && signerOf(checkpoint, logName, keys.trusted) === null) return 'BAD_SIGNATURE'
  const size = checkpoint?.treeSize ?? 0
  if (sequence < size) return 'ROLLED_BACK'
  const signed = rangeOf(size, checkpoint?.frontier ?? Buffer.alloc(0))
  if (signed === null || (checkpoint !== null && !signed.root().equals(checkpoint.rootHash))) return 'FORKED'
  const hashes = await readAdminHashes(tx, chainId, size, sequence)
  for (const hash of hashes) signed.append(hash)
  return signed.size === sequence && signed.toBytes().equals(frontier) ? null : 'FORKED'
}

function rangeOf(size: number, frontier: Buffer): CompactRange | null {
  try {
    return CompactRange.fromBytes(size, frontier)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}
