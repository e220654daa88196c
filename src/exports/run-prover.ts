import { TILE_WIDTH } from '../ledger/compact-range.js'
import { fromBytes, type Latin1 } from '../ledger/crypto.js'
import { MerkleTree } from '../ledger/merkle.js'
import { inclusionProof, type NodeReader } from '../ledger/proof.js'

interface Tile {
  readonly index: number
  readonly tree: MerkleTree
  /** What all leaves of the tile have in common: the path from the tile's root up. */
  readonly above: readonly Latin1[]
}

/**
 * Inclusion proofs for a run of events in the tree of `treeSize` leaves. Neighbours share nearly all of their paths: the
 * stored nodes are read once for each tile of 256 leaves, and what is kept is one tile.
 */
export class RunProver {
  readonly #treeSize: number
  #tile: Tile | null = null

  constructor(treeSize: number) {
    this.#treeSize = treeSize
  }

  /** The proof of the event with this sequence, nearest sibling first. `read` is asked where another tile begins. */
  async proofOf(sequence: number, read: NodeReader): Promise<readonly Latin1[]> {
    const leaf = sequence - 1
    const index = Math.floor(leaf / TILE_WIDTH)
    if (this.#tile?.index !== index) this.#tile = await this.#load(index, read)
    const { tree, above } = this.#tile
    return [...tree.inclusionProof(leaf - index * TILE_WIDTH), ...above]
  }

  async #load(index: number, read: NodeReader): Promise<Tile> {
    const from = index * TILE_WIDTH
    const to = Math.min(from + TILE_WIDTH, this.#treeSize)
    const [leaves] = await read([{ level: 0, from, to }])
    if (leaves?.length !== to - from) throw new Error(`the chain lacks events between ${from + 1} and ${to}`)
    const tree = new MerkleTree(leaves.map(fromBytes))
    // A tree is split at powers of two, so that every tile, the ragged last one too, is a subtree.
    const whole = await inclusionProof(from, this.#treeSize, read)
    return { index, tree, above: whole.slice(tree.inclusionProof(0).length).map(fromBytes) }
  }
}
