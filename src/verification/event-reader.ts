import type { KeyObject } from 'node:crypto'
import type { Database, Transaction } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import { type ChainPlace, readFrom, transactionOf } from './chain-place.js'
import type { ArchiveAccess } from '../events/archived-events.js'
import { findLastSequence, readChunk, type StoredChunk, type StoredEvent } from './stored-chain.store.js'
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

/** Where events and the keys to them come from. */
interface Sources {
  readonly database: Database
  readonly subjectKeys: SubjectKeys
  readonly archives: Pick<ArchiveAccess, 'look'>
}

/** What stands for a body that is not the one that was archived: none at all. */
const noBody = Buffer.alloc(0)

/** Reads a stretch of a chain in chunks, one ahead of what is being verified. */
export class EventReader {
  readonly #database: Database
  readonly #subjectKeys: SubjectKeys
  readonly #archives: Sources['archives']
  readonly #chain: ChainPlace
  readonly #bounds: Bounds
  readonly #signal: AbortSignal
  #from: 'primary' | 'readOnly'

  private constructor(
    { database, subjectKeys, archives }: Sources,
    chain: ChainPlace,
    bounds: Bounds,
    signal: AbortSignal,
    from: 'primary' | 'readOnly',
  ) {
    this.#database = database
    this.#subjectKeys = subjectKeys
    this.#archives = archives
    this.#chain = chain
    this.#bounds = bounds
    this.#signal = signal
    this.#from = from
  }

  /** Reads from the read-only server where there is one that has the whole stretch by now, else from the primary. */
  static async open(sources: Sources, chain: ChainPlace, bounds: Bounds, signal: AbortSignal): Promise<EventReader> {
    const reader = new EventReader(sources, chain, bounds, signal, 'readOnly')
    if (!sources.database.hasReadOnly || chain.copyIn !== undefined) reader.#from = 'primary'
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
    const reading = after >= this.#bounds.upTo ? Promise.resolve(nothing) : this.#readOpenable(after)
    // Awaited later: a failure until then is not an unhandled one.
    reading.catch(() => undefined)
    return reading
  }

  async #readOpenable(after: number): Promise<OpenableChunk> {
    const read = await this.#transact(async (tx) => {
      const chunk = await readChunk(tx, this.#chain.id, after, this.#bounds.upTo)
      const isArchived = chunk.events.some(({ object_id }) => object_id !== null)
      return isArchived ? { chunk } : { ...chunk, keys: await this.#keysOf(tx, keyIdsOf(chunk.events)) }
    })
    if (!('chunk' in read)) return read
    const chunk: StoredChunk = { ...read.chunk, events: await this.#withLines(read.chunk.events) }
    return { ...chunk, keys: await this.#transact((tx) => this.#keysOf(tx, keyIdsOf(chunk.events))) }
  }

  /** Archived events with what their objects have of them. */
  async #withLines(events: readonly StoredEvent[]): Promise<readonly StoredEvent[]> {
    const objectIds = [...new Set(events.flatMap(({ object_id }) => object_id ?? []))]
    const { dataRegion: region, companyId } = this.#chain
    const objects = await this.#archives.look({ region, companyId, objectIds })
    return events.map((event) => {
      if (event.object_id === null) return event
      const found = objects.get(event.object_id) ?? 'DAMAGED'
      // What the service has said of itself is in the database too, and needs no object.
      if (found === 'COLD') return event.category === 'system' ? event : { ...event, body: null }
      const line = found === 'DAMAGED' ? undefined : found.get(Number(event.sequence))
      if (line === undefined) return { ...event, body: noBody }
      const { body, identityBlob, contentBlob } = line
      return { ...event, body, identity_blob: identityBlob, content_blob: contentBlob }
    })
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
