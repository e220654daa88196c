import type { Latin1 } from './crypto.js'
import { provenRoot } from './proof-verification.js'

/**
 * The inclusion proofs of the events of a part of a chain. The checkpoint they lead to comes last, so each is followed
 * to its root at once and only the first root is kept: all must lead to that one.
 */
export class RunProofs {
  #root: Latin1 | null = null
  #rootFrom = 0
  #sizeMin = 0
  #sizeMax = Number.MAX_SAFE_INTEGER
  #odd: number | null = null

  add(sequence: number, leaf: Latin1, proof: readonly Latin1[] | undefined): void {
    const proven = proof === undefined ? null : provenRoot(sequence - 1, leaf, proof)
    const sizeMin = Math.max(this.#sizeMin, proven?.sizeMin ?? 0)
    const sizeMax = Math.min(this.#sizeMax, proven?.sizeMax ?? 0)
    if (proven === null || sizeMin > sizeMax || (this.#root !== null && this.#root !== proven.root)) {
      this.#odd ??= sequence
      return
    }
    if (this.#root === null) this.#rootFrom = sequence
    this.#root = proven.root
    this.#sizeMin = sizeMin
    this.#sizeMax = sizeMax
  }

  /** The first event whose proof doesn't lead to the checkpoint; null where all do. */
  firstOutside(treeSize: number, rootHash: Latin1): number | null {
    const isOther =
      this.#root !== null && (this.#root !== rootHash || treeSize < this.#sizeMin || treeSize > this.#sizeMax)
    if (!isOther) return this.#odd
    return this.#odd === null ? this.#rootFrom : Math.min(this.#odd, this.#rootFrom)
  }
}
