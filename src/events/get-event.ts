import { admitSomebody, findReaches, reachesWorkspace } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { deadlineAfter } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'
import { decodeRegionalId, encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { valueOf } from '../regions/region-gateway.js'
import type { AuditEvent } from './audit-event.js'
import { findIndexedCompany } from './event-index.store.js'
import { findEvent } from './event-page.store.js'
import type { EventReads } from './event-reads.js'
import type { Receipt } from './receipt.js'
import { retentionCutoff } from './retention.js'

/**
 * One event, or null where there is none, it is not the caller's, or it is past its retention. Throws UNAUTHENTICATED,
 * BAD_USER_INPUT (not an event id), REGION_UNAVAILABLE where nothing in its region answers, or the event waits in the queue.
 */
export async function getEvent(deps: EventReads, viewer: Viewer, id: string, field = 'id'): Promise<AuditEvent | null> {
  admitSomebody(viewer, 'event')
  const { uuid, region } = decodeRegionalId('event', id, field)
  // An event that the index doesn't know yet is not there for staff, who must be recorded before they look.
  const staffCompanyId =
    viewer.kind === 'staff' ? await findIndexedCompany(deps.control, uuid, deps.regionDeadlineMs) : null
  const reaches = await findReaches(deps, viewer, 'event', staffCompanyId)
  const companyIds = reaches.map(({ companyId }) => companyId)
  const lists = await Promise.all(
    reaches.map(async (reach) =>
      (await deps.facts.workspacesOf(reach.companyId)).filter((one) => reachesWorkspace(reach, one.id)),
    ),
  )
  const workspaces = lists.flat()
  // The region in the id is the caller's claim: where it holds nothing of the caller's there is nothing to ask.
  if (!workspaces.some(({ dataRegion }) => dataRegion === region)) return null
  const deadline = deadlineAfter(deps.regionDeadlineMs)
  const read = async (): Promise<AuditEvent | null> =>
    valueOf(await deps.gateway.read(region, companyIds, deadline, (tx) => findEvent(tx, region, uuid)))
  let event = await read()
  if (event === null && deps.waiting?.mayHold(region) === true) {
    const workspaceIds = workspaces.map(({ id: workspaceId }) => workspaceId)
    if (await deps.waiting.hold(uuid, workspaceIds)) throw stillWaiting(region)
    // It may have been brought home between the two looks.
    event = await read()
  }
  if (event === null) return null
  const workspace = workspaces.find((one) => one.id === event.workspaceId)
  if (workspace === undefined) return null
  return event.receivedAt >= retentionCutoff(workspace.retentionDays, deps.clock.now()) ? event : null
}

/** It is kept, so that null would be untrue; and it is not there yet. */
const stillWaiting = (region: Region): DomainError =>
  new DomainError(
    'REGION_UNAVAILABLE',
    `The event was accepted and waits to be recorded in region ${region}; ask again.`,
    {
      details: { regions: [region] },
    },
  )

/**
 * The event of a receipt, read back; null where it waits in the queue, or its region has stopped answering since. What was
 * recorded is recorded: failing to show it must not look like failing to record it.
 */
export async function getRecordedEvent(deps: EventReads, viewer: Viewer, receipt: Receipt): Promise<AuditEvent | null> {
  if (receipt.status === 'QUEUED') return null
  try {
    return await getEvent(deps, viewer, encodeRegionalId('event', receipt.region, receipt.eventId))
  } catch (error) {
    if (error instanceof DomainError && error.code === 'REGION_UNAVAILABLE') return null
    throw error
  }
}
