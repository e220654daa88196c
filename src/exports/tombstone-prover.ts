import { LRUCache } from 'lru-cache'
import type { Transaction } from '../db/database.js'
import type { ClaimedTombstone } from '../ledger/chain-event.js'
import { fromBytes } from '../ledger/crypto.js'
import { tombstone, TombstoneSet } from '../ledger/tombstone.js'
import { readErasure, type StoredTombstone } from './export-event.store.js'

/** Tombstones kept in memory: a set of this size takes some 50 MB. */
const TOMBSTONES_KEPT_MAX = 100_000

/** Proofs that tombstones are in the sets their erasures commit to, for exports that aren't whole chains. */
export class TombstoneProver {
  readonly #workspaceId: string
  readonly #sets = new LRUCache<number, TombstoneSet>({
    maxSize: TOMBSTONES_KEPT_MAX,
    // A larger one is kept too, alone: it is needed for the next line.
    sizeCalculation: ({ size }) => Math.min(Math.max(size, 1), TOMBSTONES_KEPT_MAX),
  })

  constructor(workspaceId: string) {
    this.#workspaceId = workspaceId
  }

  async prove(tx: Transaction, stored: StoredTombstone): Promise<ClaimedTombstone> {
    const set = this.#sets.get(stored.erasure) ?? (await this.#load(tx, stored.erasure))
    const proven = set.inclusionProof(this.#leafOf(stored))
    if (proven === null) throw new Error('a tombstone is not in its own erasure')
    const { sequence: _, ...claim } = { ...stored, digest: fromBytes(stored.digest) }
    return { ...claim, index: proven.index, proof: proven.hashes.map(fromBytes) }
  }

  async #load(tx: Transaction, erasure: number): Promise<TombstoneSet> {
    const stored = await readErasure(tx, this.#workspaceId, erasure)
    const set = new TombstoneSet(stored.map((one) => this.#leafOf(one)))
    this.#sets.set(erasure, set)
    return set
  }

  #leafOf({ sequence, digest }: StoredTombstone): Buffer {
    return tombstone({ workspaceId: this.#workspaceId, sequence, digest })
  }
}
