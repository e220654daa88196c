import { reachesWorkspace, requireCompanyReader } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { decodeId } from '../kernel/ids.js'
import type { EventPage } from './event-page.js'
import type { EventReads } from './event-reads.js'
import { type EventListInput, listEvents, resolveFilter } from './list-events.js'
import { refuseIncomplete } from './query-workspace-events.js'

/**
 * Events of the caller's company that live in its primary region, newest first. Throws UNAUTHENTICATED, FORBIDDEN (a
 * workspace key), NOT_FOUND, BAD_USER_INPUT, and REGION_UNAVAILABLE where nothing in that region answers.
 */
export async function queryCompanyEvents(
  deps: EventReads,
  viewer: Viewer,
  input: EventListInput & { readonly companyId: string | null },
): Promise<EventPage> {
  const uuid = input.companyId === null ? null : decodeId('company', input.companyId, 'companyId')
  const reach = await requireCompanyReader(deps, viewer, 'companyEvents', uuid)
  const { company } = reach
  const all = await deps.facts.workspacesOf(company.id)
  const home = all.filter(({ id, dataRegion }) => dataRegion === company.dataRegion && reachesWorkspace(reach, id))
  const resolved = await resolveFilter(deps, reach, input.filter, home)
  const scope = { list: 'companyEvents', region: company.dataRegion }
  return refuseIncomplete(await listEvents(deps, reach, { ...resolved, regions: [company.dataRegion], scope }, input))
}
