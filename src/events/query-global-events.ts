import { reachesWorkspace, requireCompanyReader } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { badInput } from '../kernel/domain-error.js'
import { decodeId } from '../kernel/ids.js'
import { type Region, regions as allRegions } from '../kernel/region.js'
import type { EventPage } from './event-page.js'
import type { EventReads } from './event-reads.js'
import { type EventListInput, listEvents, resolveFilter } from './list-events.js'

/**
 * Events of the caller's company in every region that holds any, or in those of `regions`, merged newest first. Never
 * fails because a region does: the page says which were missing. Throws UNAUTHENTICATED, FORBIDDEN (a workspace key),
 * NOT_FOUND, BAD_USER_INPUT.
 */
export async function queryGlobalEvents(
  deps: EventReads,
  viewer: Viewer,
  input: EventListInput & { readonly companyId: string | null; readonly regions: readonly Region[] | null },
): Promise<EventPage> {
  const uuid = input.companyId === null ? null : decodeId('company', input.companyId, 'companyId')
  const reach = await requireCompanyReader(deps, viewer, 'globalEvents', uuid)
  if (input.regions?.length === 0) throw badInput('regions', 'must name at least one region, or be left out.')
  const asked = allRegions.filter((region) => input.regions?.includes(region) ?? true)
  const all = await deps.facts.workspacesOf(reach.companyId)
  const resolved = await resolveFilter(
    deps,
    reach,
    input.filter,
    all.filter(({ id, dataRegion }) => asked.includes(dataRegion) && reachesWorkspace(reach, id)),
  )
  const regions = asked.filter((region) => resolved.workspaces.some(({ dataRegion }) => dataRegion === region))
  const scope = { list: 'globalEvents', regions: input.regions === null ? null : asked }
  return listEvents(deps, reach, { ...resolved, regions, scope }, input)
}
