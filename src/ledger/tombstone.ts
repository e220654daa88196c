import {
  allocateBytes,
  fromBytes,
  HASH_BYTES,
  type Latin1,
  sha256,
  toBytes,
  writeLatin1,
  writeUint64,
} from './crypto.js'
import { uuidLatin1 } from './link.js'
import { MerkleTree } from './merkle.js'

// 0x00 ‖ "HL1.T\0" ‖ workspace16 ‖ sequence8 ‖ digest32
const WORKSPACE_AT = 7
const SEQUENCE_AT = 23
const DIGEST_AT = 31
const scratch = allocateBytes(DIGEST_AT + HASH_BYTES)
writeLatin1(scratch, '\0HL1.T\0', 0)

/** What stays of an erased disclosure, for ever (ledger format, section 5): a leaf hash of its erasure's tree. */
export function tombstone(erased: {
  readonly workspaceId: string
  /** Of the event the disclosure belonged to. */
  readonly sequence: number
  readonly digest: Uint8Array
}): Buffer {
  if (erased.digest.length !== HASH_BYTES) throw new RangeError('a digest has 32 bytes')
  return toBytes(tombstoneLatin1(uuidLatin1(erased.workspaceId), erased.sequence, fromBytes(erased.digest)))
}

export function tombstoneLatin1(workspace: Latin1, sequence: number, digest: Latin1): Latin1 {
  writeLatin1(scratch, workspace, WORKSPACE_AT)
  writeUint64(scratch, sequence, SEQUENCE_AT)
  writeLatin1(scratch, digest, DIGEST_AT)
  return sha256(scratch)
}

/** All tombstones of one erasure, in the order of their bytes, and proofs that one of them is among them. */
export class TombstoneSet {
  readonly #tree: MerkleTree
  readonly #indexes: ReadonlyMap<Latin1, number>

  /** The order in which they come doesn't matter. Throws where one comes twice: a digest is erased once. */
  constructor(tombstones: Iterable<Uint8Array>) {
    const sorted = Array.from(tombstones, fromBytes).sort()
    this.#indexes = new Map(sorted.map((hash, index) => [hash, index]))
    if (this.#indexes.size !== sorted.length) throw new Error('a tombstone stands twice in one erasure')
    this.#tree = new MerkleTree(sorted)
  }

  get size(): number {
    return this.#tree.size
  }

  /** The `root` of the erasure event, 32 bytes. */
  root(): Buffer {
    return toBytes(this.#tree.root)
  }

  /** Where a tombstone stands, and its inclusion proof; null for one that isn't in the set. */
  inclusionProof(of: Uint8Array): { readonly index: number; readonly hashes: Buffer[] } | null {
    const index = this.#indexes.get(fromBytes(of))
    return index === undefined ? null : { index, hashes: this.#tree.inclusionProof(index).map(toBytes) }
  }
}
