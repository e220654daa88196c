import { randomFillSync } from 'node:crypto'

// A call into the CSPRNG costs microseconds whatever its size, and an event wants a dozen salts: draw them by the page.
const pool = Buffer.allocUnsafeSlow(16_384)
let used = pool.length

/** `size` fresh bytes (at most 1024) from the operating system's CSPRNG, in a buffer of their own. */
export function randomBytes(size: number): Buffer {
  if (used + size > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const bytes = Buffer.from(pool.subarray(used, used + size))
  // What was handed out must not linger in the pool: salts are secrets until they are erased.
  pool.fill(0, used, used + size)
  used += size
  return bytes
}

const SALTS_PER_DRAW = 16

/**
 * Answers fresh random bytes of `size` (up to 64) at each call. They are views of a few shared buffers, which live as
 * long as any of them: for salts that stay and go together.
 */
export function saltSource(size: number): () => Buffer {
  let drawn = randomBytes(SALTS_PER_DRAW * size)
  let at = 0
  return () => {
    if (at === drawn.length) {
      drawn = randomBytes(SALTS_PER_DRAW * size)
      at = 0
    }
    at += size
    return drawn.subarray(at - size, at)
  }
}
