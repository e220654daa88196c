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
