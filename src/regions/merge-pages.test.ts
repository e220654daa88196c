import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergePages } from './merge-pages.js'

const ascending = (a: number, b: number) => a - b
/** Items dealt out to sources, each cut to `fetched` items as a region's LIMIT does. */
const dealt = fc.record({
  sources: fc.array(fc.uniqueArray(fc.integer({ min: 0, max: 10_000 }), { maxLength: 40 }), {
    minLength: 1,
    maxLength: 5,
  }),
  limit: fc.integer({ min: 1, max: 30 }),
})
const cut = (all: readonly number[], fetched: number) => ({ items: all.slice(0, fetched), more: all.length > fetched })

describe('mergePages', () => {
  it('gives the first items of everything, and says whether more follow', () => {
    fc.assert(
      fc.property(dealt, ({ sources, limit }) => {
        const sorted = sources.map((items) => items.toSorted(ascending))
        const all = sorted.flat().toSorted(ascending)
        const page = mergePages(
          sorted.map((items) => cut(items, limit)),
          ascending,
          limit,
        )
        expect(page.items).toEqual(all.slice(0, limit))
        expect(page.more).toBe(all.length > limit)
      }),
    )
  })

  it('never skips an item of a source that delivered less than was asked for', () => {
    fc.assert(
      fc.property(dealt, fc.array(fc.nat(10), { minLength: 5, maxLength: 5 }), ({ sources, limit }, delivered) => {
        const sorted = sources.map((items) => items.toSorted(ascending))
        const all = sorted.flat().toSorted(ascending)
        const page = mergePages(
          sorted.map((items, index) => cut(items, delivered[index]!)),
          ascending,
          limit,
        )
        expect(page.items).toEqual(all.slice(0, page.items.length))
        // It may end early, but never says that it is over before everything was there.
        expect(page.more || page.items.length === all.length).toBe(true)
        expect(page.items.length <= limit).toBe(true)
      }),
    )
  })

  it('walks a list to its end, page by page, with every item once', () => {
    fc.assert(
      fc.property(dealt, ({ sources, limit }) => {
        const keyed = sources.map((items, source) => items.toSorted(ascending).map((time) => ({ time, source })))
        const order = (a: { time: number; source: number }, b: { time: number; source: number }) =>
          a.time - b.time || a.source - b.source
        const seen: { time: number; source: number }[] = []
        for (;;) {
          const last = seen.at(-1)
          const rest = keyed.map((items) => items.filter((item) => last === undefined || order(item, last) > 0))
          const page = mergePages(
            rest.map((items) => ({ items: items.slice(0, limit), more: items.length > limit })),
            order,
            limit,
          )
          seen.push(...page.items)
          if (!page.more) break
        }
        expect(seen).toEqual(keyed.flat().toSorted(order))
      }),
    )
  })
})
