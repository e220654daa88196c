import { LRUCache } from 'lru-cache'
import type { Database } from '../db/database.js'
import type {
  ArchiveAccess,
  ArchivedLine,
  ArchivedLines,
  ArchiveObstacle,
  ArchiveSelection,
} from '../events/archived-events.js'
import { archiveDamaged, restoreRequired } from '../events/with-archived.js'
import type { Clock } from '../kernel/clock.js'
import { encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { ObjectColdError, ObjectNotFoundError, ObjectStoreError } from '../objects/object-errors.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { ArchiveAlarms } from './archive-alarms.js'
import type { ArchiveLine } from './archive-line.js'
import type { ArchiveFigures } from './archive-figures.js'
import { type ArchiveObject, classAt, eventCount, isReadable } from './archive-object.js'
import { findObjects, listObjects, noteClass } from './archive-object.store.js'
import type { BucketStores } from './bucket-stores.js'
import { orUnavailable } from './or-unavailable.js'
import { linesOf, type SeenBytes, watched } from './object-lines.js'

const TIMEOUT_MS = 10_000
/** Sealed lines of objects kept in memory. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024
const LINE_OVERHEAD_BYTES = 200

export interface ArchiveReaderDeps {
  readonly registry: Pick<RegionRegistry, 'use'>
  readonly stores: BucketStores
  readonly alarms: ArchiveAlarms
  readonly figures: ArchiveFigures
  readonly clock: Clock
}

interface KeptLines {
  readonly lines: ArchivedLines
  readonly bytes: number
}

/**
 * Reads archive objects, and remembers a few: as they are in the bucket, sealed. What the bucket says of an object
 * counts, not what was noted: a lifecycle rule may have moved it, somebody may have restored it.
 */
export class ArchiveReader implements ArchiveAccess {
  readonly #deps: ArchiveReaderDeps
  readonly #kept = new LRUCache<string, KeptLines>({
    maxSize: KEPT_BYTES_MAX,
    sizeCalculation: ({ bytes }) => Math.min(Math.max(bytes, 1), KEPT_BYTES_MAX),
  })

  constructor(deps: ArchiveReaderDeps) {
    this.#deps = deps
  }

  async look(selection: ArchiveSelection): Promise<ReadonlyMap<string, ArchivedLines | ArchiveObstacle>> {
    const { objectIds } = selection
    const found = new Map<string, ArchivedLines | ArchiveObstacle>(objectIds.map((id) => [id, 'DAMAGED']))
    for (const object of await this.#find(selection))
      found.set(object.id, await orUnavailable(object.region, () => this.#linesOrObstacle(object)))
    return found
  }

  async require(selection: ArchiveSelection, withLines = true): Promise<ReadonlyMap<string, ArchivedLines>> {
    const objects = await orUnavailable(selection.region, () => this.#find(selection))
    await this.#refuseCold(objects)
    const found = new Map<string, ArchivedLines>()
    if (!withLines) return found
    for (const object of objects) {
      const lines = await orUnavailable(object.region, () => this.#linesOrObstacle(object))
      // It went cold this moment.
      if (lines === 'COLD') throw restoreRequired([apiId(object)])
      if (lines === 'DAMAGED') throw archiveDamaged(object.region)
      found.set(object.id, lines)
    }
    return found
  }

  async requireReadable(
    region: Region,
    companyId: string,
    workspaceId: string,
    { from, to }: { readonly from: Date | null; readonly to: Date | null },
  ): Promise<void> {
    const day = (time: Date | null): string | null => time?.toISOString().slice(0, 10) ?? null
    const options = { companies: [companyId], readOnly: true, timeoutMs: TIMEOUT_MS }
    const range = { from: day(from), to: day(to) }
    const objects = await orUnavailable(region, () =>
      this.#read(region, (database) =>
        database.transaction(options, (tx) => listObjects(tx, region, workspaceId, range)),
      ),
    )
    await this.#refuseCold(objects)
  }

  /** The lines of an object for who may read it though an erasure of it is under way, and not from memory. */
  async fresh(object: ArchiveObject): Promise<ReadonlyMap<number, ArchiveLine> | ArchiveObstacle> {
    if (!isReadable(await this.classOf(object))) return 'COLD'
    return (await this.#fetch(object)) ?? 'DAMAGED'
  }

  /** Where an object's bytes are now: what was noted where that can be read, else what the bucket says, noted. */
  async classOf(object: ArchiveObject): Promise<ArchiveObject['storageClass']> {
    const known = classAt(object, this.#deps.clock.now())
    if (isReadable(known)) return known
    return (await this.refresh(object)) ?? known
  }

  /** Asks the bucket where an object's bytes are, and notes it. Null where there is none. */
  async refresh(object: ArchiveObject): Promise<ArchiveObject['storageClass'] | null> {
    const store = await this.#deps.stores.of(object.region)
    const head = await store.head(object.key)
    if (head === null) return null
    const isKnown =
      head.objectClass === object.storageClass && head.restoredUntil?.getTime() === object.restoredUntil?.getTime()
    if (!isKnown) await this.#note(object, head)
    return head.objectClass
  }

  async #note(object: ArchiveObject, head: Parameters<typeof noteClass>[2]): Promise<void> {
    const { region, companyId, id } = object
    await this.#deps.registry.use(region, ({ database }) =>
      database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, (tx) => noteClass(tx, id, head)),
    )
  }

  #find({ region, companyId, objectIds }: ArchiveSelection): Promise<ArchiveObject[]> {
    if (objectIds.length === 0) return Promise.resolve([])
    return this.#read(region, (database) =>
      database.transaction({ companies: [companyId], readOnly: true, timeoutMs: TIMEOUT_MS }, (tx) =>
        findObjects(tx, region, objectIds),
      ),
    )
  }

  #read<T>(region: Region, work: (database: Database) => Promise<T>): Promise<T> {
    return this.#deps.registry.use(region, ({ database }) => work(database))
  }

  async #refuseCold(objects: readonly ArchiveObject[]): Promise<void> {
    const cold: string[] = []
    for (const object of objects)
      if (object.isBeingErased || !isReadable(await orUnavailable(object.region, () => this.classOf(object))))
        cold.push(apiId(object))
    if (cold.length > 0) throw restoreRequired(cold)
  }

  async #linesOrObstacle(object: ArchiveObject): Promise<ArchivedLines | ArchiveObstacle> {
    if (object.isBeingErased || !isReadable(await this.classOf(object))) return 'COLD'
    const name = `${object.id} ${object.revision}`
    const kept = this.#kept.get(name)
    if (kept !== undefined) return kept.lines
    const lines = await this.#fetch(object)
    if (lines === 'COLD') return 'COLD'
    if (lines === null) return 'DAMAGED'
    let bytes = 0
    for (const line of lines.values()) bytes += sizeOf(line)
    this.#kept.set(name, { lines, bytes })
    return lines
  }

  /** Null where what is there is not what was written. */
  async #fetch(object: ArchiveObject): Promise<ReadonlyMap<number, ArchiveLine> | 'COLD' | null> {
    const store = await this.#deps.stores.of(object.region)
    const seen: SeenBytes = { sizeBytes: 0, sha256: null }
    const lines = new Map<number, ArchiveLine>()
    try {
      for await (const line of linesOf(watched(await store.get(object.key), seen))) lines.set(line.sequence, line)
    } catch (error) {
      if (error instanceof ObjectColdError) {
        await this.refresh(object)
        return 'COLD'
      }
      if (error instanceof ObjectNotFoundError) return this.#damaged(object, 'MISSING')
      if (error instanceof ObjectStoreError) throw error
      return this.#damaged(object, 'ALTERED')
    }
    this.#deps.figures.add('reads', object.region)
    if (seen.sha256?.equals(object.sha256) !== true) return this.#damaged(object, 'ALTERED')
    return lines.size === eventCount(object) ? lines : this.#damaged(object, 'WRONG_COUNT')
  }

  /** A rewritten object is not the one that was found a moment ago: that is no damage. */
  async #damaged(
    object: ArchiveObject,
    fault: 'MISSING' | 'ALTERED' | 'WRONG_COUNT',
  ): Promise<ReadonlyMap<number, ArchiveLine> | 'COLD' | null> {
    const { region, companyId, id, key } = object
    const [now] = await this.#find({ region, companyId, objectIds: [id] })
    if (now !== undefined && now.key !== key) return this.#fetch(now)
    this.#deps.alarms.raise(object, fault)
    return null
  }
}

const sizeOf = ({ body, identityBlob, contentBlob }: ArchivedLine): number =>
  LINE_OVERHEAD_BYTES + body.length + (identityBlob?.length ?? 0) + (contentBlob?.length ?? 0)

const apiId = ({ region, id }: ArchiveObject): string => encodeRegionalId('archiveObject', region, id)
