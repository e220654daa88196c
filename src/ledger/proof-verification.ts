import { fromBytes, HASH_BYTES, type Latin1 } from './crypto.js'
import { EMPTY_ROOT, nodeHash } from './merkle.js'

/** What an inclusion proof shows before the size of the tree is known. */
export interface ProvenRoot {
  readonly root: Latin1
  /** The proof fits a tree of at least, and at most, so many leaves. */
  readonly sizeMin: number
  readonly sizeMax: number
}

/**
 * The root an inclusion proof leads to. An index and the number of hashes alone say on which side each hash stands, so
 * that the size of the tree isn't needed: a verifier that reads a stream learns it only at the end. They also bound
 * the size. Null where no tree has such a proof.
 */
export function provenRoot(leafIndex: number, leaf: Latin1, proof: readonly Latin1[]): ProvenRoot | null {
  if (!Number.isSafeInteger(leafIndex) || leafIndex < 0 || leaf.length !== HASH_BYTES) return null
  const lastOf = lastLeafBounds(leafIndex, proof.length)
  if (lastOf === null) return null
  let root = leaf
  let at = leafIndex
  let level = 0
  for (const hash of proof) {
    if (hash.length !== HASH_BYTES) return null
    if (level < lastOf.inner) {
      root = at % 2 === 0 ? nodeHash(root, hash) : nodeHash(hash, root)
    } else {
      // Above the fork towards the last leaf only left siblings exist: one for each one bit of the index.
      while (at % 2 === 0) at = Math.floor(at / 2)
      root = nodeHash(hash, root)
    }
    at = Math.floor(at / 2)
    level++
  }
  return { root, sizeMin: lastOf.min + 1, sizeMax: lastOf.max + 1 }
}

/**
 * Below level `inner` the paths of the leaf and of the tree's last leaf differ and each level has a sibling; from there
 * up each one bit of the index has. So `inner` + ones(index >> inner) is the length of the proof, and the last leaf's
 * index is that of the leaf with, at most, its lowest `inner` bits changed.
 */
function lastLeafBounds(leafIndex: number, length: number): { inner: number; min: number; max: number } | null {
  let ones = 0
  for (let rest = leafIndex; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2
  let above = leafIndex
  for (let inner = 0; inner <= 53; inner++) {
    if (inner + ones === length) {
      // No fork: the leaf is the last one.
      if (inner === 0) return { inner, min: leafIndex, max: leafIndex }
      const half = 2 ** (inner - 1)
      const begin = above * half * 2
      // At the fork the leaf is on the left: the bit below `inner` is 0. The loop meets such an `inner` first.
      return { inner, min: begin + half, max: begin + 2 * half - 1 }
    }
    ones -= above % 2
    above = Math.floor(above / 2)
  }
  return null
}

/** Whether `hashes` prove that `leafHash` is leaf `leafIndex` of the tree of `treeSize` leaves with that root. */
export function verifyInclusion(proof: {
  readonly leafIndex: number
  readonly treeSize: number
  readonly leafHash: Uint8Array
  readonly rootHash: Uint8Array
  readonly hashes: readonly Uint8Array[]
}): boolean {
  if (proof.leafIndex >= proof.treeSize) return false
  const proven = provenRoot(proof.leafIndex, fromBytes(proof.leafHash), proof.hashes.map(fromBytes))
  if (proven === null || proof.treeSize < proven.sizeMin || proof.treeSize > proven.sizeMax) return false
  return proven.root === fromBytes(proof.rootHash)
}

/** Whether `hashes` prove that the tree with the second root begins with the tree with the first (RFC 9162, 2.1.4.2). */
export function verifyConsistency(proof: {
  readonly fromSize: number
  readonly toSize: number
  readonly fromRoot: Uint8Array
  readonly toRoot: Uint8Array
  readonly hashes: readonly Uint8Array[]
}): boolean {
  const { fromSize, toSize } = proof
  if (!Number.isSafeInteger(fromSize) || !Number.isSafeInteger(toSize) || fromSize < 0 || fromSize > toSize)
    return false
  const fromRoot = fromBytes(proof.fromRoot)
  const toRoot = fromBytes(proof.toRoot)
  const hashes = proof.hashes.map(fromBytes)
  if (fromSize === toSize) return hashes.length === 0 && fromRoot === toRoot
  if (fromSize === 0) return hashes.length === 0 && fromRoot === EMPTY_ROOT
  // A first tree that is perfect is itself the node to begin with.
  if (2 ** Math.floor(Math.log2(fromSize)) === fromSize) hashes.unshift(fromRoot)
  if (hashes.some((hash) => hash.length !== HASH_BYTES)) return false
  const roots = consistentRoots(fromSize, toSize, hashes)
  return roots !== null && roots.from === fromRoot && roots.to === toRoot
}

function consistentRoots(
  fromSize: number,
  toSize: number,
  hashes: readonly Latin1[],
): { from: Latin1; to: Latin1 } | null {
  const half = (value: number): number => Math.floor(value / 2)
  let first = fromSize - 1
  let last = toSize - 1
  while (first % 2 === 1) {
    first = half(first)
    last = half(last)
  }
  const [seed, ...rest] = hashes
  if (seed === undefined) return null
  let from = seed
  let to = seed
  for (const hash of rest) {
    if (last === 0) return null
    if (first % 2 === 1 || first === last) {
      from = nodeHash(hash, from)
      to = nodeHash(hash, to)
      while (first % 2 === 0 && first !== 0) {
        first = half(first)
        last = half(last)
      }
    } else {
      to = nodeHash(to, hash)
    }
    first = half(first)
    last = half(last)
  }
  return last === 0 ? { from, to } : null
}
