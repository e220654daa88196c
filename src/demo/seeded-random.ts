import { createHash } from 'node:crypto'

/** Numbers that look random and are the same for the same seed. For invented events, never for secrets. */
export interface SeededRandom {
  /** In [0, 1). */
  next(): number
  /** In [0, below). */
  integer(below: number): number
  /** One of them; there must be one. */
  pick<T>(items: readonly T[]): T
  hex(length: number): string
}

/** Mulberry32, begun with a digest of the seed. */
export function seededRandom(seed: string): SeededRandom {
  let state = createHash('sha256').update(seed).digest().readUInt32BE(0)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const integer = (below: number): number => Math.floor(next() * below)
  return {
    next,
    integer,
    pick: (items) => items[integer(items.length)]!,
    hex: (length) => Array.from({ length }, () => integer(16).toString(16)).join(''),
  }
}
