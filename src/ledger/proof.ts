import { TILE_HEIGHT, TILE_WIDTH } from './compact-range.js'
import { fromBytes, type Latin1, toBytes } from './crypto.js'
import { EMPTY_ROOT, nodeHash, splitPoint } from './merkle.js'

/**
 * Nodes of one level, `from` inclusive, `to` exclusive. Level 0 are the leaves (the hash of the event with sequence
 * index + 1), levels 8, 16, 24 … the stored inner nodes.
 */
export interface NodeRange {
  readonly level: number
  readonly from: number
  readonly to: number
}

/** Reads stored nodes: for each range its hashes in order, all of them. One call for a whole proof. */
export type NodeReader = (ranges: readonly NodeRange[]) => Promise<readonly (readonly Uint8Array[])[]>

/** A stretch of leaves; each hash of a proof is the root over one. */
interface Stretch {
  readonly from: number
  readonly to: number
}

/**
 * The hashes that prove that a leaf is in the tree of the first `treeSize` leaves (RFC 6962 section 2.1.1), nearest
 * sibling first. Reads O(log treeSize) stored nodes, 256 at most for each eight levels and edge, with one call.
 * Throws RangeError where the leaf isn't in that tree.
 */
export async function inclusionProof(leafIndex: number, treeSize: number, read: NodeReader): Promise<Buffer[]> {
  requireIndex(leafIndex, treeSize)
  return proofOf(inclusionPath(leafIndex, treeSize), read)
}

/**
 * The hashes that prove that the tree of the first `fromSize` leaves is the beginning of that of `toSize` (RFC 6962
 * section 2.1.2): none where the sizes are equal or the first tree is empty. Throws RangeError where `fromSize` is larger.
 */
export async function consistencyProof(fromSize: number, toSize: number, read: NodeReader): Promise<Buffer[]> {
  requireSizes(fromSize, toSize)
  return proofOf(consistencyPath(fromSize, toSize), read)
}

/** The root of the tree of the first `treeSize` leaves, from stored nodes. */
export async function treeRoot(treeSize: number, read: NodeReader): Promise<Buffer> {
  requireSizes(0, treeSize)
  if (treeSize === 0) return toBytes(EMPTY_ROOT)
  const [root] = await proofOf([{ from: 0, to: treeSize }], read)
  return root!
}

/**
 * The compact range [0, treeSize) as {@link CompactRange.fromBytes} takes it, from stored nodes: where to take up a
 * tree at a size for which no frontier is kept.
 */
export async function frontierAt(treeSize: number, read: NodeReader): Promise<Buffer> {
  requireSizes(0, treeSize)
  const roots = await proofOf(perfectSubtrees({ from: 0, to: treeSize }), read)
  return toBytes(roots.map(fromBytes).join(''))
}

function inclusionPath(leafIndex: number, treeSize: number): Stretch[] {
  const path: Stretch[] = []
  let from = 0
  let to = treeSize
  while (to - from > 1) {
    const middle = from + splitPoint(to - from)
    if (leafIndex < middle) {
      path.push({ from: middle, to })
      to = middle
    } else {
      path.push({ from, to: middle })
      from = middle
    }
  }
  return path.reverse()
}

function consistencyPath(fromSize: number, toSize: number): Stretch[] {
  if (fromSize === 0 || fromSize === toSize) return []
  const path: Stretch[] = []
  let from = 0
  let to = toSize
  // SUBPROOF of RFC 6962: down to the subtree that ends where the first tree ends.
  while (to !== fromSize) {
    const middle = from + splitPoint(to - from)
    if (fromSize <= middle) {
      path.push({ from: middle, to })
      to = middle
    } else {
      path.push({ from, to: middle })
      from = middle
    }
  }
  // The root of the first tree itself is known to who verifies.
  if (from > 0) path.push({ from, to })
  return path.reverse()
}

/** The perfect subtrees a stretch of a path falls into, largest first. Its begin is always a multiple of its width. */
function perfectSubtrees({ from, to }: Stretch): Stretch[] {
  const subtrees: Stretch[] = []
  for (let at = from; at < to;) {
    let width = 1
    while (at % (width * 2) === 0 && at + width * 2 <= to) width *= 2
    subtrees.push({ from: at, to: at + width })
    at += width
  }
  return subtrees
}

/** The stored nodes that cover a perfect subtree: 1 to 128 of the nearest stored level below it. */
function storedNodes({ from, to }: Stretch): NodeRange {
  let level = 0
  let width = 1
  while (to - from >= width * TILE_WIDTH) {
    level += TILE_HEIGHT
    width *= TILE_WIDTH
  }
  return { level, from: from / width, to: to / width }
}

async function proofOf(path: readonly Stretch[], read: NodeReader): Promise<Buffer[]> {
  const subtrees = path.map(perfectSubtrees)
  const ranges = subtrees.flat().map(storedNodes)
  const answers = ranges.length === 0 ? [] : await read(ranges)
  let next = 0
  return subtrees.map((parts) => {
    const roots = parts.map(() => perfectRoot(ranges[next]!, answers[next++]))
    return toBytes(roots.reduceRight((right, left) => nodeHash(left, right)))
  })
}

function perfectRoot(range: NodeRange, answer: readonly Uint8Array[] | undefined): Latin1 {
  if (answer?.length !== range.to - range.from)
    throw new Error(`level ${range.level} of the tree lacks nodes between ${range.from} and ${range.to}`)
  let nodes = answer.map(fromBytes)
  while (nodes.length > 1) nodes = nodes.flatMap((node, i) => (i % 2 === 0 ? [nodeHash(node, nodes[i + 1]!)] : []))
  return nodes[0]!
}

function requireIndex(leafIndex: number, treeSize: number): void {
  if (!Number.isSafeInteger(leafIndex) || leafIndex < 0 || !Number.isSafeInteger(treeSize) || leafIndex >= treeSize)
    throw new RangeError(`leaf ${leafIndex} is not in a tree of ${treeSize} leaves`)
}

function requireSizes(fromSize: number, toSize: number): void {
  if (!Number.isSafeInteger(fromSize) || fromSize < 0 || !Number.isSafeInteger(toSize) || fromSize > toSize)
    throw new RangeError(`a tree of ${fromSize} leaves is not the beginning of one of ${toSize}`)
}
