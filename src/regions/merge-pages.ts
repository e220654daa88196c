/** What one source has to offer, in the order of the whole list. */
export interface SourcePage<Item> {
  readonly items: readonly Item[]
  /** The source has items after the last one here. */
  readonly more: boolean
}

/**
 * The first `limit` items of the sources together, each source being in order already. Where a source was cut short
 * (`more`) the merged page ends with its last item at the latest: what comes after it there is unknown, and anything
 * from another source might have to stand behind it. `more` tells that something follows.
 */
export function mergePages<Item>(
  sources: readonly SourcePage<Item>[],
  compare: (a: Item, b: Item) => number,
  limit: number,
): SourcePage<Item> {
  const items: Item[] = []
  const next = sources.map(() => 0)
  while (items.length < limit) {
    let best = -1
    for (const [index, source] of sources.entries()) {
      const item = source.items[next[index]!]
      if (item === undefined) {
        if (source.more) return { items, more: true }
        continue
      }
      if (best === -1 || compare(item, sources[best]!.items[next[best]!]!) < 0) best = index
    }
    if (best === -1) return { items, more: false }
    items.push(sources[best]!.items[next[best]!]!)
    next[best]!++
  }
  return { items, more: sources.some((source, index) => source.more || next[index]! < source.items.length) }
}
