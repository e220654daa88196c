import { requireWorkspaceReader } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { DomainError } from '../kernel/domain-error.js'
import { decodeId } from '../kernel/ids.js'
import type { EventPage } from './event-page.js'
import type { EventReads } from './event-reads.js'
import { type EventListInput, listEvents, resolveFilter } from './list-events.js'

/**
 * Events of one workspace, newest first. A workspace key may leave `workspaceId` out. Throws UNAUTHENTICATED, NOT_FOUND,
 * BAD_USER_INPUT, and REGION_UNAVAILABLE where nothing in its region answers.
 */
export async function queryWorkspaceEvents(
  deps: EventReads,
  viewer: Viewer,
  input: EventListInput & { readonly workspaceId: string | null },
): Promise<EventPage> {
  const uuid = input.workspaceId === null ? null : decodeId('workspace', input.workspaceId, 'workspaceId')
  const { reach, workspace } = await requireWorkspaceReader(deps, viewer, 'workspaceEvents', uuid)
  const resolved = await resolveFilter(deps, reach, input.filter, [workspace])
  const scope = { list: 'workspaceEvents', workspace: workspace.id }
  const page = await listEvents(deps, reach, { ...resolved, regions: [workspace.dataRegion], scope }, input)
  return refuseIncomplete(page)
}

/** A list of one region has nothing to show where that region doesn't answer: an empty page would be a lie. */
export function refuseIncomplete(page: EventPage): EventPage {
  const missing = page.regions.find(({ status }) => status === 'UNAVAILABLE')
  if (missing === undefined) return page
  throw new DomainError('REGION_UNAVAILABLE', `Region ${missing.region} does not answer now (${missing.reason}).`, {
    details: { regions: [missing.region] },
  })
}
