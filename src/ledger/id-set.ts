/** 2^24 slots of 16 bytes at three quarters: 12.5 million ids in 256 MB. */
export const UNIQUE_IDS_MAX = 12_582_912

const WORDS = 4
const SLOTS_MIN = 4096

/**
 * The ids of a chain, exactly: an open hash table of their 16 bytes, 21 to 43 bytes an id where a Set of strings takes
 * over a hundred. Whether something is new in a stream can't be told in less memory than the stream has, so there is a
 * maximum; from there on ids are not taken in any more and the verdict says so.
 */
export class IdSet {
  readonly #max: number
  // The table would be slow for ids chosen to collide: where they go depends on a number nobody outside knows.
  readonly #seed = (Math.random() * 2 ** 32) | 0
  #slots = SLOTS_MIN
  #words = new Int32Array(SLOTS_MIN * WORDS)
  #size = 0
  #hasZero = false

  constructor(max: number = UNIQUE_IDS_MAX) {
    this.#max = max
  }

  get isFull(): boolean {
    return this.#size >= this.#max
  }

  /** Takes a plain UUID; false where it was there before. A full set takes in nothing and only knows what it has. */
  add(uuid: string): boolean {
    const a = (sixteenBits(uuid, 0) << 16) | sixteenBits(uuid, 4)
    const b = (sixteenBits(uuid, 9) << 16) | sixteenBits(uuid, 14)
    const c = (sixteenBits(uuid, 19) << 16) | sixteenBits(uuid, 24)
    const d = (sixteenBits(uuid, 28) << 16) | sixteenBits(uuid, 32)
    // Four zero words mark a free slot, so the nil UUID is kept apart.
    if ((a | b | c | d) === 0) {
      const isNew = !this.#hasZero
      this.#hasZero = true
      return isNew
    }
    const slot = this.#find(a, b, c, d)
    if (slot < 0) return false
    if (this.isFull) return true
    this.#put(slot, a, b, c, d)
    if (++this.#size * 4 > this.#slots * 3) this.#grow()
    return true
  }

  #find(a: number, b: number, c: number, d: number): number {
    const words = this.#words
    const mask = this.#slots - 1
    let hash = Math.imul(a ^ this.#seed, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ c, 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ d, 0x27d4eb2f)
    for (let slot = (hash ^ (hash >>> 16)) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS
      const w = words[at]!
      const x = words[at + 1]!
      const y = words[at + 2]!
      const z = words[at + 3]!
      if ((w | x | y | z) === 0) return slot
      if (w === a && x === b && y === c && z === d) return -1
    }
  }

  #put(slot: number, a: number, b: number, c: number, d: number): void {
    const at = slot * WORDS
    this.#words[at] = a
    this.#words[at + 1] = b
    this.#words[at + 2] = c
    this.#words[at + 3] = d
  }

  #grow(): void {
    const old = this.#words
    this.#slots *= 2
    this.#words = new Int32Array(this.#slots * WORDS)
    for (let at = 0; at < old.length; at += WORDS) {
      const a = old[at]!
      const b = old[at + 1]!
      const c = old[at + 2]!
      const d = old[at + 3]!
      if ((a | b | c | d) !== 0) this.#put(this.#find(a, b, c, d), a, b, c, d)
    }
  }
}

/** Four lower-case hex digits as a number. */
function sixteenBits(uuid: string, at: number): number {
  let value = 0
  for (let i = at; i < at + 4; i++) {
    const code = uuid.charCodeAt(i)
    value = (value << 4) | (code < 58 ? code - 48 : code - 87)
  }
  return value
}
