import { allocateBytes, HASH_BYTES, type Latin1, sha256, writeLatin1 } from './crypto.js'

// One buffer for every node: the ledger is synchronous, and a fresh buffer costs as much as the hash.
const scratch = allocateBytes(1 + 2 * HASH_BYTES)
scratch[0] = 0x01

/** The hash of an inner node: sha(0x01 ‖ left ‖ right), RFC 6962 section 2.1. */
export function nodeHash(left: Latin1, right: Latin1): Latin1 {
  writeLatin1(scratch, left, 1)
  writeLatin1(scratch, right, 1 + HASH_BYTES)
  return sha256(scratch)
}

/** The root of the tree without leaves: the SHA-256 of nothing. */
export const EMPTY_ROOT: Latin1 = sha256('')

/** The largest power of two smaller than `size` (at least 2): where RFC 6962 splits a tree. Safe up to 2^53. */
export function splitPoint(size: number): number {
  let half = 1
  while (half * 2 < size) half *= 2
  return half
}

/**
 * A small tree held in memory with all its inner nodes: the tombstones of one erasure. 64 bytes a leaf.
 * Leaves are leaf hashes already; nothing is hashed into them.
 */
export class MerkleTree {
  readonly #levels: readonly (readonly Latin1[])[]

  constructor(leaves: readonly Latin1[]) {
    const levels: (readonly Latin1[])[] = [leaves]
    for (let nodes = leaves; nodes.length > 1;) {
      const above: Latin1[] = []
      for (let i = 0; i + 1 < nodes.length; i += 2) above.push(nodeHash(nodes[i]!, nodes[i + 1]!))
      // A last node without a neighbour rises as it is: that is what RFC 6962's uneven split comes to.
      if (nodes.length % 2 === 1) above.push(nodes[nodes.length - 1]!)
      levels.push(above)
      nodes = above
    }
    this.#levels = levels
  }

  get size(): number {
    return this.#levels[0]!.length
  }

  get root(): Latin1 {
    return this.#levels[this.#levels.length - 1]![0] ?? EMPTY_ROOT
  }

  /** The inclusion proof (RFC 6962 section 2.1.1) of the leaf at `index`, nearest sibling first. */
  inclusionProof(index: number): Latin1[] {
    const proof: Latin1[] = []
    let at = index
    for (const nodes of this.#levels) {
      const sibling = nodes[at % 2 === 0 ? at + 1 : at - 1]
      if (sibling !== undefined) proof.push(sibling)
      at = Math.floor(at / 2)
    }
    return proof
  }
}
