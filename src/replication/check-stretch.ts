import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import {
  bodyHash,
  CompactRange,
  fromBytes,
  type MerkleNode,
  tombstone,
  TombstoneSet,
  utf8Text,
} from '../ledger/index.js'
import { readBody } from '../ledger/body-rules.js'
import { linkHashLatin1, uuidLatin1 } from '../ledger/link.js'
import type { ColumnArrays } from './event-columns.js'
import { bytesOf, numbersOf } from './read-array.js'
import { ReplicaFault, type ReplicaHead } from './replica-chain.js'
import type { ReplicaExtension, StoredTombstone } from './replica.store.js'

/** A stretch that goes on from a replica's head. */
export interface CheckedStretch extends ReplicaExtension {
  /** Of the checkpoints given, those that these events reach: the tree agrees with each. */
  readonly reached: readonly SignedCheckpoint[]
}

/** What links events to those before them, of each in order: arrays in PostgreSQL's binary form. */
export interface LinkArrays {
  readonly sequence: Buffer
  readonly term: Buffer
  readonly prev_hash: Buffer
  readonly hash: Buffer
}

/**
 * Whether events go on from the end of a replica: sequences without a gap, each naming the hash before it, each hash that
 * of link and body, and at each size there is a checkpoint of, its root. Nothing is hashed anew that is not compared.
 * Pure. Throws {@link ReplicaFault}.
 */
export function checkStretch(
  from: Pick<ReplicaHead, 'workspaceId' | 'term' | 'sequence' | 'hash' | 'frontier'>,
  links: LinkArrays,
  bodyHashes: readonly Buffer[],
  checkpoints: readonly SignedCheckpoint[],
): CheckedStretch {
  const sequences = numbersOf(links.sequence)
  const terms = numbersOf(links.term)
  const prevHashes = bytesOf(links.prev_hash)
  const hashes = bytesOf(links.hash)
  const bySize = Map.groupBy(checkpoints, ({ treeSize }) => treeSize)
  const workspace = uuidLatin1(from.workspaceId)
  const tree = CompactRange.fromBytes(from.sequence, from.frontier)
  const nodes: MerkleNode[] = []
  const reached: SignedCheckpoint[] = []
  let { sequence, term, hash } = from
  let hashText = fromBytes(hash)
  for (const [index, ownBodyHash] of bodyHashes.entries()) {
    const fault = (reason: ReplicaFault['reason']) => new ReplicaFault(reason, sequence + 1)
    const ownTerm = terms[index]!
    if (sequences[index] !== sequence + 1 || !prevHashes[index]!.equals(hash)) throw fault('CHAIN_MISMATCH')
    if (ownTerm < term || ownTerm > term + 1) throw fault('CHAIN_MISMATCH')
    const text = linkHashLatin1(ownTerm, workspace, sequence + 1, hashText, fromBytes(ownBodyHash))
    hash = hashes[index]!
    if (fromBytes(hash) !== text) throw fault('CHAIN_MISMATCH')
    hashText = text
    term = ownTerm
    sequence++
    nodes.push(...tree.appendLatin1(text))
    for (const checkpoint of bySize.get(sequence) ?? []) {
      if (!checkpoint.rootHash.equals(tree.root())) throw new ReplicaFault('CHECKPOINT_MISMATCH', sequence)
      reached.push(checkpoint)
    }
  }
  return { nodes, reached, head: { term, sequence, hash, frontier: tree.toBytes() } }
}

/** The hashes of events' bodies, computed from them. */
export const bodyHashesOf = ({ body }: Pick<ColumnArrays, 'body'>): Buffer[] => bytesOf(body).map(bodyHash)

/**
 * Whether tombstones are exactly those that the erasure events with these bodies, by their sequences, name by the root
 * of their tree (ledger format HL1, section 5). Pure. Throws {@link ReplicaFault}.
 */
export function checkErasures(
  workspaceId: string,
  erasures: ReadonlyMap<number, Buffer>,
  tombstones: readonly StoredTombstone[],
): void {
  const byErasure = Map.groupBy(tombstones, ({ erasure }) => erasure)
  for (const [erasure, bytes] of erasures) {
    const body = readBody(utf8Text(bytes) ?? '')
    const system = typeof body === 'string' ? null : body.system
    const own = byErasure.get(erasure) ?? []
    const hashes = own.map(({ sequence, digest }) => tombstone({ workspaceId, sequence, digest }))
    if (system?.kind !== 'erasure' || fromBytes(rootOf(hashes)) !== system.erasure.root)
      throw new ReplicaFault('ERASURE_MISMATCH', erasure)
  }
}

function rootOf(hashes: readonly Buffer[]): Buffer {
  try {
    return new TombstoneSet(hashes).root()
  } catch {
    // One stands twice: no erasure names such a set.
    return Buffer.alloc(0)
  }
}
