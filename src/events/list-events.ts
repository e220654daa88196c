import { type Reach, reachesWorkspace } from '../auth/permissions.js'
import type { WorkspaceFacts } from '../directory/facts.js'
import { DatabaseError } from '../db/database-error.js'
import type { PageRequest } from '../graphql/page-arguments.js'
import type { JsonObject } from '../kernel/canonical-json.js'
import { cursorCodec } from '../kernel/cursor.js'
import { deadlineAfter } from '../kernel/deadline.js'
import { notFound } from '../kernel/domain-error.js'
import { decodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { RegionAnswer } from '../regions/region-gateway.js'
import { readReplicaLags, type ReplicaLag } from '../regions/replica-state.store.js'
import type { AuditEvent } from './audit-event.js'
import { type WorkspaceWindow, windowsOf } from './event-conditions.js'
import { type EventFilter, type EventFilterInput, filterFingerprint, parseEventFilter } from './event-filter.js'
import type { EventPage, EventTotal, RegionReport } from './event-page.js'
import { readEventPage, type StoredEvent } from './event-page.store.js'
import type { EventReads } from './event-reads.js'
import { countEvents } from './event-totals.store.js'
import { readMergedPage } from './merged-page.js'
import { fillPage } from './with-archived.js'

/** What every list of events is asked with. Ids are those of the API. */
export interface EventListInput {
  readonly filter: EventFilterInput | null
  readonly page: PageRequest
  /** Count what matches. */
  readonly withTotal: boolean
  /** Load the sealed blobs. */
  readonly withBlobs: boolean
}

/** A list: which workspaces it is about, in which regions, and what tells its cursors from another list's. */
interface EventList {
  readonly workspaces: readonly WorkspaceFacts[]
  readonly regions: readonly Region[]
  readonly filter: EventFilter
  readonly scope: JsonObject
}

/** Counting must not hold up a page for long. */
const totalTimeoutMs = 2000

const newestFirst = (a: StoredEvent, b: StoredEvent): number =>
  b.occurredAt.getTime() - a.occurredAt.getTime() || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0)
const oldestFirst = (a: StoredEvent, b: StoredEvent): number => newestFirst(b, a)

/**
 * The filter of a caller, checked, and those of the workspaces it lets through. `NOT_FOUND` for a workspace or project
 * that is not the caller's, `BAD_USER_INPUT` for what has no meaning.
 */
export async function resolveFilter(
  deps: EventReads,
  reach: Reach,
  input: EventFilterInput | null,
  workspaces: readonly WorkspaceFacts[],
): Promise<{ filter: EventFilter; workspaces: readonly WorkspaceFacts[] }> {
  const filter = parseEventFilter(input, await deps.facts.tagKey(reach.companyId))
  let chosen = workspaces
  const workspaceId = input?.workspaceId ?? null
  if (workspaceId !== null) {
    const uuid = decodeId('workspace', workspaceId, 'filter.workspaceId')
    if (!reachesWorkspace(reach, uuid)) throw notFound('Workspace')
    const named = await deps.facts.workspace(uuid)
    if (named === null || named.companyId !== reach.companyId) throw notFound('Workspace')
    chosen = chosen.filter(({ id }) => id === uuid)
  }
  if (filter.projectId !== null) {
    const project = await deps.facts.project(filter.projectId)
    if (project === null || project.companyId !== reach.companyId) throw notFound('Project')
    if (!reachesWorkspace(reach, project.workspaceId)) throw notFound('Project')
    chosen = chosen.filter(({ id }) => id === project.workspaceId)
  }
  return { filter, workspaces: chosen }
}

/**
 * One page of a list of events, newest first. A region that can't answer is told of in `regions`; it fails nothing here.
 * `BAD_USER_INPUT` for a cursor that is not of this list, `RESTORE_REQUIRED` where it reaches into cold archive objects.
 */
export async function listEvents(
  deps: EventReads,
  reach: Reach,
  list: EventList,
  input: EventListInput,
): Promise<EventPage> {
  const { page } = input
  const now = deps.clock.now()
  const codec = cursorCodec(deps.cursorKey, {
    ...list.scope,
    company: reach.companyId,
    filter: filterFingerprint(list.filter),
  })
  const position = page.cursor === null ? null : codec.decode(page.cursor, page.cursorField)
  const windowsByRegion = Map.groupBy(list.workspaces, ({ dataRegion }) => dataRegion)
  const windows = (workspaces: readonly WorkspaceFacts[]): WorkspaceWindow[] => windowsOf(workspaces, list.filter, now)
  const deadline = deadlineAfter(deps.regionDeadlineMs)
  const direction = page.direction === 'forward' ? 'older' : 'newer'
  const total = input.withTotal ? countOrNull(deps, windows(list.workspaces), list.filter) : Promise.resolve(null)
  const companies = [reach.companyId]
  const requestOf = (region: Region, limit: number) => {
    const workspaces = windows(windowsByRegion.get(region) ?? [])
    return { workspaces, filter: list.filter, direction, limit, withBlobs: input.withBlobs } as const
  }
  const merged = await readMergedPage(deps.gateway, {
    regions: list.regions,
    companies,
    deadline,
    compare: direction === 'older' ? newestFirst : oldestFirst,
    position,
    size: page.size,
    workspacesIn: (region) => (windowsByRegion.get(region) ?? []).map(({ id }) => id),
    read: async (tx, place, from, limit) => {
      const request = requestOf(place.region, limit)
      return request.workspaces.length === 0 ? [] : readEventPage(tx, place, { ...request, position: from })
    },
    readFirst: (region, limit) => {
      const request = { ...requestOf(region, limit), position: null }
      // Pages that reach into archives are rare, and change without the chain's end moving.
      if (list.filter.includeArchived)
        return deps.gateway.read(
          region,
          companies,
          deadline,
          (tx, _, servedBy) => readEventPage(tx, { region, servedBy }, request),
          request.workspaces.map(({ id }) => id),
        )
      return deps.firstPages.read({ region, companyId: reach.companyId, deadline, now, page: request })
    },
  })
  const forward = page.direction === 'forward'
  const ordered = (forward ? merged.items : merged.items.toReversed()).map((event) => event.decode())
  const { events, answers } = await fillPage(deps, ordered, merged.answers, input.withBlobs)
  for (const answer of answers)
    if (answer.status === 'UNAVAILABLE' && answer.reason === 'error')
      deps.report(answer.cause, `reading events in ${answer.region}`)
  return {
    events,
    // On the side where the cursor is there is at least the event it was made for.
    hasNextPage: forward ? merged.more : position !== null,
    hasPreviousPage: forward ? position !== null : merged.more,
    cursorOf: ({ occurredAt, id }) => codec.encode({ timeMs: occurredAt.getTime(), uuid: id }),
    total: total.then((counted) => atLeast(counted, events.length)),
    regions: answers.map((answer) => ({
      ...reportOf(answer, events),
      lag: lagOf(deps, reach.companyId, answer),
      hasWaiting: waitingOf(deps, reach.companyId, answer.region, windowsByRegion.get(answer.region) ?? []),
    })),
  }
}

/** How far the replica that stood in is behind; looked up when asked for, null where nothing stood in or nobody knows. */
function lagOf(deps: EventReads, companyId: string, answer: RegionAnswer<unknown>): () => Promise<ReplicaLag | null> {
  let lag: Promise<ReplicaLag | null> | undefined
  const { region, servedBy } = answer
  if (servedBy === null || servedBy === region) return () => Promise.resolve(null)
  return () =>
    (lag ??= readReplicaLags(deps.control, companyId)
      .then((lags) => lags.find((one) => one.home === region && one.replica === servedBy) ?? null)
      .catch((error: unknown) => {
        if (!(error instanceof DatabaseError && error.unavailable))
          deps.report(error, 'reading how far a replica is behind')
        return null
      }))
}

/** Looked up when asked for, and only while the region's writes may be waiting. */
function waitingOf(
  { waiting }: EventReads,
  companyId: string,
  region: Region,
  workspaces: readonly WorkspaceFacts[],
): () => Promise<boolean> {
  let found: Promise<boolean> | undefined
  if (waiting?.mayHold(region) !== true) return () => Promise.resolve(false)
  const ids = workspaces.map(({ id }) => id)
  // Where control does not say, they may.
  return () => (found ??= waiting.holdAny(region, companyId, ids).catch(() => true))
}

const reportOf = (
  answer: RegionAnswer<unknown>,
  events: readonly AuditEvent[],
): Omit<RegionReport, 'lag' | 'hasWaiting'> => ({
  region: answer.region,
  status: answer.status,
  servedBy: answer.servedBy,
  eventCount: events.reduce((count, { region }) => count + (region === answer.region ? 1 : 0), 0),
  latencyMs: answer.latencyMs,
  reason: answer.reason,
})

/** The index follows what is recorded, within a second or so: a total that the page itself disproves is not told. */
const atLeast = (total: EventTotal | null, shown: number): EventTotal | null =>
  total === null || total.count >= shown ? total : { ...total, count: shown }

/** The total of a list, or null where the control database doesn't say it in time. */
async function countOrNull(
  deps: EventReads,
  workspaces: readonly WorkspaceWindow[],
  filter: EventFilter,
): Promise<EventTotal | null> {
  if (workspaces.length === 0) return { count: 0, isExact: true }
  try {
    return await countEvents(deps.control, workspaces, filter, Math.min(totalTimeoutMs, deps.regionDeadlineMs))
  } catch (error) {
    if (!(error instanceof DatabaseError && error.unavailable)) deps.report(error, 'counting events')
    return null
  }
}
