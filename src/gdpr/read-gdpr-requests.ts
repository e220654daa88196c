import { admitToCompany, refuseRole } from '../auth/permissions.js'
import { isPermitted } from '../auth/permission-table.js'
import type { SessionViewer } from '../auth/viewer.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { countTaggedPending } from '../failover/pending-write.store.js'
import type { PageRequest } from '../graphql/page-arguments.js'
import { cursorCodec } from '../kernel/cursor.js'
import { DomainError, notFound } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { GdprDeps, GdprListDeps } from './gdpr-deps.js'
import type { GdprStatus } from './gdpr-request.js'
import {
  countGdprRequests,
  findGdprRequest,
  findSealedRequest,
  type GdprRequestRecord,
  readGdprRequests,
} from './gdpr-request.store.js'
import { countTaggedEvents } from './erasure.store.js'
import { inRegion, openSubject } from './sealed-subject.js'
import { subjectTags } from './subject.js'

/** One request, or null where the caller may not know of it: another company's. FORBIDDEN, REGION_UNAVAILABLE. `id`: UUID. */
export async function getGdprRequest(
  deps: Pick<GdprDeps, 'control'>,
  viewer: SessionViewer,
  id: string,
): Promise<GdprRequestRecord | null> {
  const record = await orControlUnavailable(() => findGdprRequest(deps.control, id))
  if (record === null) return null
  const { companyId } = record.request
  if (viewer.kind === 'user' && !viewer.memberships.some((one) => one.companyId === companyId)) return null
  const session = admitToCompany(viewer, 'gdprRequest', companyId, 'GDPR request')
  if (session.kind === 'staff') await session.recordRead('gdprRequest', companyId)
  return record
}

export interface GdprRequestPage {
  readonly records: readonly GdprRequestRecord[]
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
  cursorOf(this: void, record: GdprRequestRecord): string
  total(this: void): Promise<number>
}

/**
 * Requests, newest first: those of a company (a UUID), or, without one, of all the caller administers; to staff, of all
 * there are. FORBIDDEN, NOT_FOUND, BAD_USER_INPUT (cursor), REGION_UNAVAILABLE.
 */
export async function listGdprRequests(
  deps: GdprListDeps,
  viewer: SessionViewer,
  input: { readonly companyId: string | null; readonly status: GdprStatus | null; readonly page: PageRequest },
): Promise<GdprRequestPage> {
  const { companyId, status, page } = input
  const companyIds = await companiesOf(deps, viewer, companyId)
  const codec = cursorCodec(deps.cursorKey, { list: 'gdprRequests', companies: companyIds, status })
  const position = page.cursor === null ? null : codec.decode(page.cursor, page.cursorField)
  const forward = page.direction === 'forward'
  const found = await orControlUnavailable(() =>
    readGdprRequests(deps.control, {
      companyIds,
      status,
      direction: forward ? 'older' : 'newer',
      position,
      limit: page.size + 1,
    }),
  )
  const more = found.length > page.size
  const records = forward ? found.slice(0, page.size) : found.slice(0, page.size).toReversed()
  if (viewer.kind === 'staff' && companyId === null)
    for (const id of new Set(records.map(({ request }) => request.companyId)))
      await viewer.recordRead('gdprRequests', id)
  return {
    records,
    hasNextPage: forward ? more : position !== null,
    hasPreviousPage: forward ? position !== null : more,
    cursorOf: ({ request }) => codec.encode({ timeMs: request.createdAt.getTime(), uuid: request.id }),
    total: () => orControlUnavailable(() => countGdprRequests(deps.control, { companyIds, status })),
  }
}

/** Null: all there are. */
async function companiesOf(
  deps: GdprDeps,
  viewer: SessionViewer,
  companyId: string | null,
): Promise<readonly string[] | null> {
  if (companyId !== null) {
    const session = admitToCompany(viewer, 'gdprRequests', companyId)
    if ((await deps.facts.company(companyId)) === null) throw notFound('Company')
    if (session.kind === 'staff') await session.recordRead('gdprRequests', companyId)
    return [companyId]
  }
  if (viewer.kind === 'staff') return null
  const own = viewer.memberships.filter(({ role }) => isPermitted('gdprRequests', role))
  if (own.length === 0 && viewer.memberships[0] !== undefined) refuseRole('gdprRequests', viewer.memberships[0].role)
  return own.map((one) => one.companyId).toSorted()
}

/** What a request would touch in one region; null where the region doesn't answer. */
export interface RegionPreview {
  readonly region: Region
  readonly events: number | null
}

/**
 * How many events a request would touch, per region, those that wait for it included: those that the subject did, and
 * those that were done to it. What
 * else mentions the subject in its content is found when the work is done. NOT_FOUND, FORBIDDEN, INVALID_TRANSITION (it
 * is over), REGION_UNAVAILABLE. `id` is a UUID.
 */
export async function previewGdprRequest(
  deps: GdprDeps,
  viewer: SessionViewer,
  id: string,
): Promise<readonly RegionPreview[]> {
  const sealed = await orControlUnavailable(() => findSealedRequest(deps.control, id))
  if (sealed === null) throw notFound('GDPR request')
  const { companyId } = sealed
  const session = admitToCompany(viewer, 'gdprPreview', companyId, 'GDPR request')
  if (session.kind === 'staff') await session.recordRead('gdprPreview', companyId)
  const subject = await openSubject(deps, sealed)
  if (subject === null)
    throw new DomainError('INVALID_TRANSITION', 'The request is over: whom it was about is not known any more.')
  const tags = subjectTags(await deps.facts.tagKey(companyId), subject)
  const byRegion = Map.groupBy(await deps.facts.workspacesOf(companyId), ({ dataRegion }) => dataRegion)
  return Promise.all(
    [...byRegion].map(async ([region, workspaces]) => {
      const workspaceIds = workspaces.map((workspace) => workspace.id)
      try {
        const [recorded, queued] = await Promise.all([
          inRegion(deps, region, (database) => countTaggedEvents(database, companyId, workspaceIds, tags)),
          orControlUnavailable(() => countTaggedPending(deps.control, region, companyId, tags)),
        ])
        return { region, events: recorded + queued }
      } catch (error) {
        if (error instanceof DomainError && error.code === 'REGION_UNAVAILABLE') return { region, events: null }
        throw error
      }
    }),
  )
}
