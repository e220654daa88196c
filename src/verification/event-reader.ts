import type { KeyObject } from 'node:crypto'
import type { Database, Transaction } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import { type ChainPlace, readFrom, transactionOf } from './chain-place.js'
import { findLastSequence, readChunk } from './stored-chain.store.js'
import { keyIdsOf, type KeysById, type OpenableChunk } from './unseal-event.js'

const nothing: OpenableChunk = {
  events: [],
  nodes: new Map(),
  tombstones: new Map(),
  erased: new Map(),
  history: [],
  keys: new Map(),
}

/** What is to be read: after one sequence up to another. */
interface Bounds {
  readonly after: number
  readonly upTo: number
}

/** Reads a stretch of a chain in chunks, one ahead of what is being verified. */
export class EventReader {
  readonly #database: Database
  readonly #subjectKeys: SubjectKeys
  readonly #chain: ChainPlace
  readonly #bounds: Bounds
  readonly #signal: AbortSignal
  #from: 'primary' | 'readOnly'

  private constructor(
    database: Database,
    subjectKeys: SubjectKeys,
    chain: ChainPlace,
    bounds: Bounds,
    signal: AbortSignal,
    from: 'primary' | 'readOnly',
  ) {
    this.#database = database
    this.#subjectKeys = subjectKeys
    this.#chain = chain
    this.#bounds = bounds
    this.#signal = signal
    this.#from = from
  }

  /** Reads from the read-only server where there is one that has the whole stretch by now, else from the primary. */
  static async open(
    database: Database,
    subjectKeys: SubjectKeys,
    chain: ChainPlace,
    bounds: Bounds,
    signal: AbortSignal,
  ): Promise<EventReader> {
    const reader = new EventReader(database, subjectKeys, chain, bounds, signal, 'readOnly')
    if (!database.hasReadOnly || chain.copyIn !== undefined) reader.#from = 'primary'
    else if ((await reader.#transact((tx) => findLastSequence(tx, chain.id))) < bounds.upTo) reader.#from = 'primary'
    return reader
  }

  async *chunks(): AsyncGenerator<OpenableChunk, void, void> {
    let { after } = this.#bounds
    const { upTo } = this.#bounds
    let next = this.#read(after)
    try {
      while (after < upTo) {
        const chunk = await next
        if (chunk.events.length === 0) return
        after = Number(chunk.events.at(-1)!.sequence)
        if (after < upTo) next = this.#read(after)
        yield chunk
      }
    } finally {
      // Whoever stops early does not hear of what was read ahead.
      next.catch(() => undefined)
    }
  }

  #read(after: number): Promise<OpenableChunk> {
    const reading =
      after >= this.#bounds.upTo
        ? Promise.resolve(nothing)
        : this.#transact(async (tx) => {
            const chunk = await readChunk(tx, this.#chain.id, after, this.#bounds.upTo)
            return { ...chunk, keys: await this.#keysOf(tx, keyIdsOf(chunk.events)) }
          })
    // Awaited later: a failure until then is not an unhandled one.
    reading.catch(() => undefined)
    return reading
  }

  async #transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const options = { ...transactionOf(this.#chain), signal: this.#signal }
    try {
      return await this.#database.transaction({ ...options, from: this.#from }, work)
    } catch (error) {
      if (this.#from === 'primary' || !(error instanceof DatabaseError) || !error.unavailable) throw error
      this.#from = 'primary'
      return this.#database.transaction(options, work)
    }
  }

  async #keysOf(tx: Transaction, ids: readonly string[]): Promise<KeysById> {
    const region = readFrom(this.#chain)
    try {
      return await this.#subjectKeys.load(tx, region, ids)
    } catch (error) {
      if (!(error instanceof SealBrokenError)) throw error
    }
    // One of them does not open: which, shows one by one.
    const keys = new Map<string, KeyObject | null>()
    for (const id of ids) {
      try {
        for (const [found, key] of await this.#subjectKeys.load(tx, region, [id])) keys.set(found, key)
      } catch (error) {
        if (!(error instanceof SealBrokenError)) throw error
        keys.set(id, null)
      }
    }
    return keys
  }
}
