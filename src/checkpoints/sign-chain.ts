import { CompactRange } from '../ledger/compact-range.js'
import { readBody } from '../ledger/body-rules.js'
import { consistencyProof, type NodeReader } from '../ledger/proof.js'
import { verifyConsistency } from '../ledger/proof-verification.js'
import { toHex } from '../ledger/crypto.js'
import type { CheckpointAlarm } from './checkpoint-alarms.js'
import type { ChainToSign } from './checkpoint.store.js'
import { makeCheckpoint, signerOf, type SignedCheckpoint } from './signed-checkpoint.js'
import type { RegionKeys, SigningKey } from './signing-keys.js'

/** A checkpoint that is known to have been signed. */
export interface KnownCheckpoint {
  readonly treeSize: number
  readonly rootHash: Buffer
  /** The id of its key. */
  readonly signer: string
  readonly place: CheckpointAlarm['place']
}

/** What became of one chain. */
export interface ChainOutcome {
  readonly chain: ChainToSign
  /** What has to be stored; null where there is nothing new, or this process must not sign. */
  readonly signed: SignedCheckpoint | null
  /** The newest checkpoint, from now on what the chain is held against; null after an alarm. */
  readonly known: KnownCheckpoint | null
  readonly alarm: Omit<CheckpointAlarm, 'region' | 'workspaceId' | 'treeSize'> | null
  /** The key that counts for the chain, where the chain has yet to be told of the current one. */
  readonly toReplace: SigningKey | null
}

export interface SigningTerms {
  readonly logName: string
  readonly keys: RegionKeys
  readonly now: Date
}

/**
 * Signs a chain's tree as a witness would: only where it continues what was signed before, which is proven from the
 * stored nodes. `known` is the newest checkpoint known from elsewhere (null: none is), so that a region that was set
 * back, or rewritten, gets no signature for a second history.
 */
export async function signChain(
  chain: ChainToSign,
  known: KnownCheckpoint | null,
  read: NodeReader,
  terms: SigningTerms,
): Promise<ChainOutcome> {
  const { sequence, checkpoint } = chain
  const nothing = { chain, signed: null, known: null, alarm: null, toReplace: null }
  const stored = storedCheckpoint(chain, known, terms)
  if (stored === 'BAD_SIGNATURE')
    return { ...nothing, alarm: { kind: 'BAD_SIGNATURE', place: 'HOME', knownSize: checkpoint!.treeSize } }
  const base = stored === null || (known !== null && known.treeSize > stored.treeSize) ? known : stored
  const contradicts = (kind: CheckpointAlarm['kind'], against: KnownCheckpoint): ChainOutcome => ({
    ...nothing,
    alarm: { kind, place: against.place, knownSize: against.treeSize },
  })
  if (stored !== null && known?.treeSize === stored.treeSize && !known.rootHash.equals(stored.rootHash))
    return contradicts('FORKED', known)
  if (base !== null && sequence < base.treeSize) return contradicts('ROLLED_BACK', base)
  const rootHash = rootOf(chain)
  if (rootHash === null || (base !== null && !(await continues(base, sequence, rootHash, read))))
    return contradicts('FORKED', base ?? { treeSize: sequence, rootHash: Buffer.alloc(0), signer: '', place: 'HOME' })
  const key = keyOf(chain, base, terms.keys)
  if (key === null) return { ...nothing, known: base }
  const { current, mayAnnounce } = terms.keys
  const toReplace = mayAnnounce && current !== null && key.id !== current.id ? key : null
  if (checkpoint?.treeSize === sequence) return { ...nothing, known: base, toReplace }
  const { workspaceId, companyId } = chain
  const signed = makeCheckpoint({ workspaceId, companyId, treeSize: sequence, rootHash }, terms.logName, key, terms.now)
  return {
    ...nothing,
    signed,
    known: { treeSize: sequence, rootHash, signer: key.id, place: 'MEMORY' },
    toReplace,
  }
}

function storedCheckpoint(
  { checkpoint }: ChainToSign,
  known: KnownCheckpoint | null,
  { logName, keys }: SigningTerms,
): KnownCheckpoint | 'BAD_SIGNATURE' | null {
  if (checkpoint === null) return null
  const { treeSize, rootHash } = checkpoint
  // Our own last word needs no second look at its signature.
  if (known?.place === 'MEMORY' && known.treeSize === treeSize && known.rootHash.equals(rootHash)) return known
  const signer = signerOf(checkpoint, logName, keys.trusted)
  return signer === null ? 'BAD_SIGNATURE' : { treeSize, rootHash, signer, place: 'HOME' }
}

/** The root that the head claims, or null where its frontier is none. */
function rootOf({ sequence, frontier }: ChainToSign): Buffer | null {
  try {
    return CompactRange.fromBytes(sequence, frontier).root()
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

async function continues(
  base: KnownCheckpoint,
  sequence: number,
  rootHash: Buffer,
  read: NodeReader,
): Promise<boolean> {
  if (base.treeSize === sequence) return base.rootHash.equals(rootHash)
  const hashes = await consistencyProof(base.treeSize, sequence, wholeRanges(read))
  const { treeSize: fromSize, rootHash: fromRoot } = base
  return verifyConsistency({ fromSize, toSize: sequence, fromRoot, toRoot: rootHash, hashes })
}

/** Nodes that are gone read as zeros, which prove nothing: a hole in a tree is a fault of the tree, not of the reader. */
export const wholeRanges =
  (read: NodeReader): NodeReader =>
  async (ranges) => {
    const answers = await read(ranges)
    return ranges.map(({ from, to }, index) => {
      const nodes = answers[index] ?? []
      return nodes.length === to - from ? nodes : Array.from({ length: to - from }, () => Buffer.alloc(32))
    })
  }

/**
 * The key that counts for a chain now: the one its newest announcement names, else the one that signed before, else, for
 * a new chain, the current one. Null where this process doesn't hold it.
 */
function keyOf(chain: ChainToSign, base: KnownCheckpoint | null, keys: RegionKeys): SigningKey | null {
  const announced = chain.keyEventBody === null ? null : announcedKey(chain.keyEventBody, keys.name)
  const id = announced ?? base?.signer ?? keys.current?.id
  return id === undefined ? null : (keys.own.get(id) ?? null)
}

function announcedKey(body: Buffer, name: string): string | null {
  const read = readBody(body.toString('utf8'))
  if (typeof read === 'string' || read.system?.kind !== 'keyRotation' || read.system.name !== name) return null
  return toHex(read.system.new)
}
