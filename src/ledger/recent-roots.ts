import type { CompactRange } from './compact-range.js'
import type { Latin1 } from './crypto.js'

/** How far a checkpoint that comes after the events may lie behind them: 16 384 events at least. */
const WINDOW_LEAVES = 16_384

/**
 * A growing tree that can still tell its root at sizes it had a while ago. An export's checkpoint comes last, and
 * events may follow its size. Keeps two windows of leaves, 2 MB.
 */
export class RecentRoots {
  #base: CompactRange
  #middle: CompactRange
  readonly #tree: CompactRange
  #older: Latin1[] = []
  #newer: Latin1[] = []

  constructor(start: CompactRange) {
    this.#base = start.clone()
    this.#middle = start.clone()
    this.#tree = start.clone()
  }

  get size(): number {
    return this.#tree.size
  }

  append(leaf: Latin1): void {
    if (this.#newer.length === WINDOW_LEAVES) {
      this.#base = this.#middle
      this.#middle = this.#tree.clone()
      this.#older = this.#newer
      this.#newer = []
    }
    this.#newer.push(leaf)
    this.#tree.appendLatin1(leaf)
  }

  root(): Latin1 {
    return this.#tree.rootLatin1()
  }

  /** The root at an earlier size, or null where that is too long ago. */
  rootAt(size: number): Latin1 | null {
    if (size === this.size) return this.root()
    if (size > this.size || size < this.#base.size) return null
    const [start, leaves] = size < this.#middle.size ? [this.#base, this.#older] : [this.#middle, this.#newer]
    const range = start.clone()
    for (const leaf of leaves) {
      if (range.size === size) break
      range.appendLatin1(leaf)
    }
    return range.rootLatin1()
  }

  range(): CompactRange {
    return this.#tree.clone()
  }
}
