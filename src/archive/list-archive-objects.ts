import type { KeyObject } from 'node:crypto'
import { requireWorkspaceReader } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { WorkspaceFacts } from '../directory/facts.js'
import { pageOf, type PageRequest } from '../graphql/page-arguments.js'
import type { Clock } from '../kernel/clock.js'
import { cursorCodec } from '../kernel/cursor.js'
import { badInput } from '../kernel/domain-error.js'
import { decodeId, uuidFromBytes, uuidToBytes } from '../kernel/ids.js'
import type { RestoreTier } from '../objects/object-store.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { type ArchiveObject, classAt } from './archive-object.js'
import {
  countObjects,
  type DayRange,
  listObjects,
  type ObjectPosition,
  readObjectPage,
} from './archive-object.store.js'
import type { BucketStores } from './bucket-stores.js'
import { orUnavailable } from './or-unavailable.js'

const TIMEOUT_MS = 5_000
const DAY_MS = 86_400_000

export interface ArchiveReads {
  readonly registry: Pick<RegionRegistry, 'use' | 'find'>
  readonly facts: ControlFacts
  readonly stores: BucketStores
  readonly clock: Clock
  /** Signs cursors. */
  readonly cursorKey: KeyObject
}

/** Which objects: of one workspace, with events received in [from, to). */
export interface ArchiveSelectionInput {
  readonly workspaceId: string
  readonly from: Date | null
  readonly to: Date | null
}

/** A page of archive objects, newest day first. */
export interface ArchiveObjectPage {
  readonly objects: readonly ArchiveObject[]
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
  cursorOf(this: void, object: ArchiveObject): string
  total(this: void): Promise<number>
}

/**
 * Archive objects of a workspace the caller may read. Throws UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, BAD_USER_INPUT,
 * REGION_UNAVAILABLE.
 */
export async function listArchiveObjects(
  deps: ArchiveReads,
  viewer: Viewer,
  input: ArchiveSelectionInput & { readonly page: PageRequest },
): Promise<ArchiveObjectPage> {
  const { workspace, range } = await selectionOf(deps, viewer, 'archiveObjects', input)
  const { page } = input
  const scope = { list: 'archiveObjects', workspace: workspace.id, from: range.from, to: range.to }
  const codec = cursorCodec(deps.cursorKey, scope)
  const position = page.cursor === null ? null : positionOf(codec.decode(page.cursor, page.cursorField))
  const direction = page.direction === 'forward' ? 'older' : 'newer'
  const { id, companyId, dataRegion: region } = workspace
  const read = <T>(work: Parameters<typeof inRegion<T>>[3]): Promise<T> => inRegion(deps, region, companyId, work)
  const found = await read((tx) =>
    readObjectPage(tx, region, id, { ...range, direction, position, limit: page.size + 1 }),
  )
  const { items: objects, ...rest } = pageOf(found, page)
  return {
    objects,
    ...rest,
    cursorOf: (object) => codec.encode(keysetOf(object)),
    total: () => read((tx) => countObjects(tx, id, range)),
  }
}

/** What restoring would come to. */
export interface RestoreEstimate {
  readonly objects: number
  readonly bytes: number
  readonly coldObjects: number
  readonly coldBytes: number
  readonly tiers: readonly RestoreTier[]
}

/**
 * How much there is to restore of a workspace's archive, before anybody asks for it. Throws as
 * {@link listArchiveObjects}.
 */
export async function estimateRestore(
  deps: ArchiveReads,
  viewer: Viewer,
  input: ArchiveSelectionInput,
): Promise<RestoreEstimate> {
  const { workspace, range } = await selectionOf(deps, viewer, 'restoreEstimate', input)
  const { id, companyId, dataRegion: region } = workspace
  const objects = await inRegion(deps, region, companyId, (tx) => listObjects(tx, region, id, range))
  const now = deps.clock.now()
  const cold = objects.filter((object) => ['COLD', 'RESTORING'].includes(classAt(object, now)))
  const bytesOf = (some: readonly ArchiveObject[]): number => some.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const store = await orUnavailable(region, () => deps.stores.of(region))
  return {
    objects: objects.length,
    bytes: bytesOf(objects),
    coldObjects: cold.length,
    coldBytes: bytesOf(cold),
    tiers: store.restoreTiers,
  }
}

async function selectionOf(
  deps: ArchiveReads,
  viewer: Viewer,
  operation: 'archiveObjects' | 'restoreEstimate',
  { workspaceId, from, to }: ArchiveSelectionInput,
): Promise<{ readonly workspace: WorkspaceFacts; readonly range: DayRange }> {
  const uuid = decodeId('workspace', workspaceId, 'workspaceId')
  const { workspace } = await requireWorkspaceReader(deps, viewer, operation, uuid)
  if (from !== null && to !== null && from >= to) throw badInput('to', 'must be later than from.')
  const day = (time: Date): string => time.toISOString().slice(0, 10)
  // Exclusive: what ends at midnight has nothing of the day that begins there.
  const last = to === null ? null : day(new Date(to.getTime() - 1))
  return { workspace, range: { from: from === null ? null : day(from), to: last } }
}

type RegionWork<T> = (tx: Parameters<typeof countObjects>[0]) => Promise<T>

const inRegion = <T>(
  { registry }: Pick<ArchiveReads, 'registry'>,
  region: ArchiveObject['region'],
  companyId: string,
  work: RegionWork<T>,
): Promise<T> =>
  orUnavailable(region, () =>
    registry.use(region, ({ database }) =>
      database.transaction({ companies: [companyId], readOnly: true, timeoutMs: TIMEOUT_MS }, work),
    ),
  )

// A cursor holds a time and sixteen bytes: here the day, and the first sequence in the last eight of them.
const keysetOf = ({ day, firstSequence }: ArchiveObject) => {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64BE(BigInt(firstSequence), 8)
  return { timeMs: Date.parse(`${day}T00:00:00Z`), uuid: uuidFromBytes(bytes) }
}

const positionOf = ({ timeMs, uuid }: { readonly timeMs: number; readonly uuid: string }): ObjectPosition => ({
  day: new Date(Math.floor(timeMs / DAY_MS) * DAY_MS).toISOString().slice(0, 10),
  firstSequence: Number(uuidToBytes(uuid).readBigUInt64BE(8)),
})
