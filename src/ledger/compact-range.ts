import { fromBytes, HASH_BYTES, type Latin1, toBytes } from './crypto.js'
import { EMPTY_ROOT, nodeHash } from './merkle.js'

/** Inner nodes are stored at every eighth level only: the levels between are cheap to hash again from 256 nodes. */
export const TILE_HEIGHT = 8
export const TILE_WIDTH = 2 ** TILE_HEIGHT

/** An inner node of a Merkle tree: it covers the leaves from `index · 2^level` to `(index + 1) · 2^level`, exclusive. */
export interface MerkleNode {
  readonly level: number
  readonly index: number
  readonly hash: Buffer
}

const noNodes: readonly MerkleNode[] = []

/**
 * What is needed of a Merkle tree to go on with it and to know its root: the roots of the perfect subtrees that the
 * leaves [0, size) fall into, largest first. At most 53 hashes, whatever the size; no rescan ever.
 */
export class CompactRange {
  #size: number
  readonly #frontier: Latin1[]

  private constructor(size: number, frontier: Latin1[]) {
    this.#size = size
    this.#frontier = frontier
  }

  static empty(): CompactRange {
    return new CompactRange(0, [])
  }

  /** Takes up what {@link toBytes} gave: `frontier` is one hash of 32 bytes for each one bit of `size`. */
  static fromBytes(size: number, frontier: Uint8Array): CompactRange {
    if (!Number.isSafeInteger(size) || size < 0 || frontier.length !== bitCount(size) * HASH_BYTES)
      throw new RangeError(`a frontier of ${frontier.length} bytes does not belong to ${size} leaves`)
    const text = fromBytes(frontier)
    const hashes: Latin1[] = []
    for (let at = 0; at < text.length; at += HASH_BYTES) hashes.push(text.slice(at, at + HASH_BYTES))
    return new CompactRange(size, hashes)
  }

  get size(): number {
    return this.#size
  }

  clone(): CompactRange {
    return new CompactRange(this.#size, [...this.#frontier])
  }

  /** Adds a leaf hash (32 bytes). Answers the nodes of levels 8, 16, 24 … that it filled, lowest first: those to store. */
  append(leaf: Uint8Array): readonly MerkleNode[] {
    if (leaf.length !== HASH_BYTES) throw new RangeError('a leaf hash has 32 bytes')
    return this.appendLatin1(fromBytes(leaf))
  }

  appendLatin1(leaf: Latin1): readonly MerkleNode[] {
    const frontier = this.#frontier
    let nodes: MerkleNode[] | null = null
    let hash = leaf
    let index = this.#size
    for (let level = 1; index % 2 === 1; level++) {
      hash = nodeHash(frontier.pop()!, hash)
      index = (index - 1) / 2
      if (level % TILE_HEIGHT === 0) (nodes ??= []).push({ level, index, hash: toBytes(hash) })
    }
    frontier.push(hash)
    this.#size++
    return nodes ?? noNodes
  }

  /** The root of the tree of all leaves so far, 32 bytes (RFC 6962 section 2.1). */
  root(): Buffer {
    return toBytes(this.rootLatin1())
  }

  rootLatin1(): Latin1 {
    const frontier = this.#frontier
    let root = frontier[frontier.length - 1]
    if (root === undefined) return EMPTY_ROOT
    for (let i = frontier.length - 2; i >= 0; i--) root = nodeHash(frontier[i]!, root)
    return root
  }

  toBytes(): Buffer {
    return toBytes(this.#frontier.join(''))
  }
}

/** The number of one bits, for safe integers too. */
function bitCount(value: number): number {
  let count = 0
  for (let rest = value; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}
