import { admitSomebody, findReaches, reachesWorkspace } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { type Deadline, deadlineAfter } from '../kernel/deadline.js'
import { DomainError, regionUnavailable } from '../kernel/domain-error.js'
import { decodeRegionalId, encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { valueOf } from '../regions/region-gateway.js'
import type { AuditEvent } from './audit-event.js'
import { withArchived } from './with-archived.js'
import { findIndexedCompany } from './event-index.store.js'
import { findEvent } from './event-page.store.js'
import type { EventReads } from './event-reads.js'
import type { Receipt } from './receipt.js'
import { retentionCutoff } from './retention.js'

/**
 * One event, or null where there is none, it is not the caller's, or it is past its retention and not archived yet.
 * Throws UNAUTHENTICATED, BAD_USER_INPUT (not an event id), REGION_UNAVAILABLE where nothing in its region answers or the
 * event waits in the queue, RESTORE_REQUIRED where it is in a cold archive object.
 */
export async function getEvent(deps: EventReads, viewer: Viewer, id: string, field = 'id'): Promise<AuditEvent | null> {
  const event = await locateEvent(deps, viewer, id, field)
  return event === null ? null : (await withArchived(deps, [event], true))[0]!
}

/** As {@link getEvent}, for who needs no more than its place: of an archived event the blobs are null, cold or not. */
export async function locateEvent(
  deps: EventReads,
  viewer: Viewer,
  id: string,
  field = 'id',
): Promise<AuditEvent | null> {
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
  const inRegion = companyIds.filter((owner) =>
    workspaces.some(({ companyId, dataRegion }) => companyId === owner && dataRegion === region),
  )
  let event = await findIn(deps, region, inRegion, uuid, deadline)
  if (event === null && deps.waiting?.mayHold(region) === true) {
    const workspaceIds = workspaces.map(({ id: workspaceId }) => workspaceId)
    if (await deps.waiting.hold(uuid, workspaceIds)) throw stillWaiting(region)
    // It may have been brought home between the two looks.
    event = await findIn(deps, region, inRegion, uuid, deadline)
  }
  if (event === null) return null
  const workspace = workspaces.find((one) => one.id === event.workspaceId)
  if (workspace === undefined) return null
  if (event.archiveObjectId !== null) return event
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
 * Looks for an event in its region, or in a replica. Companies may have replicas in different regions, or none: where
 * the region does not answer they are asked for one by one, and an event that is in none of those that answer may be in
 * one that doesn't.
 */
async function findIn(
  deps: EventReads,
  region: Region,
  companyIds: readonly string[],
  uuid: string,
  deadline: Deadline,
): Promise<AuditEvent | null> {
  const ask = (companies: readonly string[]) =>
    deps.gateway.read(region, companies, deadline, async (tx, _, servedBy) => {
      const event = await findEvent(tx, { region, servedBy }, uuid)
      // A replica may be behind, and has no archives: that it lacks an event does not mean that there is none.
      if (event === null && servedBy !== region) throw regionUnavailable(region)
      return event
    })
  const answer = await ask(companyIds)
  if (answer.status !== 'UNAVAILABLE' || companyIds.length < 2) return valueOf(answer)
  const answers = await Promise.all(companyIds.map((id) => ask([id])))
  for (const one of answers) if (one.status !== 'UNAVAILABLE' && one.value !== null) return one.value
  return valueOf(answers.find(({ status }) => status === 'UNAVAILABLE') ?? answers[0]!)
}

/**
 * The event of a receipt, read back; null where it waits in the queue, its region has stopped answering since, or it is
 * in cold storage. What was recorded is recorded: failing to show it must not look like failing to record it.
 */
export async function getRecordedEvent(deps: EventReads, viewer: Viewer, receipt: Receipt): Promise<AuditEvent | null> {
  if (receipt.status === 'QUEUED') return null
  try {
    return await getEvent(deps, viewer, encodeRegionalId('event', receipt.region, receipt.eventId))
  } catch (error) {
    const isAway = error instanceof DomainError && ['REGION_UNAVAILABLE', 'RESTORE_REQUIRED'].includes(error.code)
    if (isAway) return null
    throw error
  }
}
