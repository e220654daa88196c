import { allocateBytes, fromBytes, HASH_BYTES, type Latin1, writeLatin1 } from './crypto.js'
import type { ErasureMember } from './body-rules.js'
import { CompactRange } from './compact-range.js'
import { tombstoneLatin1 } from './tombstone.js'
import { type ProvenRoot, provenRoot } from './proof-verification.js'

/** An event, by where it stands and its id. */
export interface EventPlace {
  readonly sequence: number
  readonly eventId: string
}

/** A claim that a digest of the event at that place was erased: by which erasure, and outside of a whole chain the proof. */
export interface TombstoneClaim extends EventPlace {
  readonly tombstone: Latin1
  readonly erasure: number
  readonly index: number | null
  readonly proof: readonly Latin1[] | null
}

/** A digest that an erasure names. */
export interface ErasedDigest {
  /** Of the event it belonged to. */
  readonly sequence: number
  readonly digest: Latin1
}

/** An erasure event that was named and hasn't come yet. */
class Entry {
  readonly namedBy: EventPlace | null
  lastSequence = 0
  events = 0
  collected = 0
  proven: ProvenRoot | null = null
  provenCount = 0
  isContradictory = false
  #bytes = allocateBytes(8 * HASH_BYTES)

  constructor(namedBy: EventPlace | null) {
    this.namedBy = namedBy
  }

  get count(): number {
    return this.collected + this.provenCount
  }

  /** Claims come in the order of the events they belong to. */
  take(claim: Omit<TombstoneClaim, 'eventId' | 'erasure'>): void {
    if (this.lastSequence !== claim.sequence) {
      this.lastSequence = claim.sequence
      this.events++
    }
    if (claim.proof === null) this.#collect(claim.tombstone)
    else this.#prove(claim.tombstone, claim.index, claim.proof)
  }

  #collect(tombstone: Latin1): void {
    if (this.#bytes.length < (this.collected + 1) * HASH_BYTES) {
      const larger = allocateBytes(2 * this.#bytes.length)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    writeLatin1(this.#bytes, tombstone, HASH_BYTES * this.collected++)
  }

  #prove(tombstone: Latin1, index: number | null, proof: readonly Latin1[]): void {
    const proven = index === null ? null : provenRoot(index, tombstone, proof)
    this.provenCount++
    if (proven === null) this.isContradictory = true
    else if (this.proven === null) this.proven = proven
    else {
      const sizeMin = Math.max(this.proven.sizeMin, proven.sizeMin)
      const sizeMax = Math.min(this.proven.sizeMax, proven.sizeMax)
      if (this.proven.root !== proven.root || sizeMin > sizeMax) this.isContradictory = true
      this.proven = { root: proven.root, sizeMin, sizeMax }
    }
  }

  /** The root over the tombstones sorted as bytes, or null where one is there twice. */
  root(): Latin1 | null {
    const range = CompactRange.empty()
    // They are hashes, evenly spread: sorted by their first byte a few at a time, so that a set of millions is never
    // as many strings at once.
    const buckets = bucketsOf(this.#bytes.subarray(0, this.collected * HASH_BYTES))
    for (const bucket of buckets) {
      const sorted: Latin1[] = []
      const text = fromBytes(bucket)
      for (let at = 0; at < text.length; at += HASH_BYTES) sorted.push(text.slice(at, at + HASH_BYTES))
      sorted.sort()
      for (const [i, tombstone] of sorted.entries()) {
        if (i > 0 && sorted[i - 1] === tombstone) return null
        range.appendLatin1(tombstone)
      }
    }
    return range.rootLatin1()
  }
}

const BUCKETS_FROM_BYTES = 1_048_576

function bucketsOf(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length < BUCKETS_FROM_BYTES) return [bytes]
  const sizes = new Uint32Array(256)
  for (let at = 0; at < bytes.length; at += HASH_BYTES) sizes[bytes[at]!]! += HASH_BYTES
  const buckets = Array.from(sizes, (size) => allocateBytes(size))
  const filled = new Uint32Array(256)
  for (let at = 0; at < bytes.length; at += HASH_BYTES) {
    const first = bytes[at]!
    buckets[first]!.set(bytes.subarray(at, at + HASH_BYTES), filled[first])
    filled[first]! += HASH_BYTES
  }
  return buckets
}

/**
 * Erasures come after the events they erase: until an erasure event is met, its tombstones are kept, 32 bytes each, or,
 * where each carries its inclusion proof, one root for all of them. Nothing is kept of an erasure that was settled in
 * a whole chain.
 */
export class PendingErasures {
  readonly #whole: boolean
  readonly #given: boolean
  readonly #pending = new Map<number, Entry>()

  /**
   * `whole`: every event of the chain passes by, so a set must be complete. `given`: {@link settle} is handed each
   * erasure's set, and claims are only kept to see that the erasure they name exists.
   */
  constructor(options: { readonly whole: boolean; readonly given: boolean }) {
    this.#whole = options.whole
    this.#given = options.given
  }

  /** Takes a claim; answers what is wrong with it, as far as that can be told now. */
  claim(claim: TombstoneClaim): string | null {
    if (this.#given) {
      this.#entry(claim)
      return null
    }
    if (!this.#whole && claim.proof === null) return 'a tombstone carries no proof that its erasure names it'
    this.#entry(claim).take(claim)
    return null
  }

  #entry(claim: TombstoneClaim): Entry {
    let entry = this.#pending.get(claim.erasure)
    if (entry === undefined) this.#pending.set(claim.erasure, (entry = new Entry(claim)))
    return entry
  }

  /**
   * Meets an erasure event; answers what is wrong with the set of tombstones that named it. `given`: the set, in the
   * order of sequences, where the sets are given.
   */
  settle(
    workspace: Latin1,
    sequence: number,
    erasure: ErasureMember,
    given: Iterable<ErasedDigest> | null,
  ): string | null {
    const entry = this.#pending.get(sequence)
    this.#pending.delete(sequence)
    if (this.#given) {
      const set = new Entry(null)
      for (const erased of given ?? []) {
        if (erased.sequence >= sequence) return 'the erasure names an event that is not before it'
        const tombstone = tombstoneLatin1(workspace, erased.sequence, erased.digest)
        set.take({ sequence: erased.sequence, tombstone, index: null, proof: null })
      }
      return this.#compare(erasure, set)
    }
    // A part of a chain need not hold the events an erasure is about.
    if (entry === undefined && !this.#whole) return null
    return this.#compare(erasure, entry ?? new Entry(null))
  }

  #compare(erasure: ErasureMember, entry: Entry): string | null {
    if (entry.collected > 0 && entry.provenCount > 0)
      return 'some tombstones of the erasure carry proofs and some do not'
    if (entry.isContradictory) return 'the proofs of the tombstones lead to different erasures'
    if (this.#whole ? entry.count !== erasure.disclosures : entry.count > erasure.disclosures)
      return `the erasure names ${erasure.disclosures} disclosures, and ${entry.count} have tombstones`
    if (this.#whole ? entry.events !== erasure.events : entry.events > erasure.events)
      return `the erasure names ${erasure.events} events, and ${entry.events} have tombstones`
    const { proven } = entry
    if (proven === null)
      return entry.root() === erasure.root ? null : 'the tombstones are not those the erasure commits to'
    return proven.root === erasure.root &&
      proven.sizeMin <= erasure.disclosures &&
      erasure.disclosures <= proven.sizeMax
      ? null
      : 'the proof of a tombstone does not lead to the erasure'
  }

  /** Whether tombstones name the event at `sequence` as their erasure, and the first event whose do. */
  namedBy(sequence: number): EventPlace | null {
    return this.#pending.get(sequence)?.namedBy ?? null
  }

  /** The erasures that were named and didn't come, in the order in which they were named. */
  unsettled(): { readonly erasure: number; readonly namedBy: EventPlace }[] {
    const open = Array.from(this.#pending, ([erasure, { namedBy }]) => ({ erasure, namedBy: namedBy! }))
    return open.sort((a, b) => a.namedBy.sequence - b.namedBy.sequence)
  }
}
