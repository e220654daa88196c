import type { Viewer } from '../auth/viewer.js'
import type { EventReads } from '../events/event-reads.js'
import { deadlineAfter } from '../kernel/deadline.js'
import { valueOf } from '../regions/region-gateway.js'
import { findReachableWorkspace } from './checkpoint-reads.js'
import { findCheckpoint } from './checkpoint.store.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'

/**
 * The newest checkpoint of a workspace; null where there is none yet, or the workspace is not the caller's. Throws
 * UNAUTHENTICATED, BAD_USER_INPUT (no workspace id), REGION_UNAVAILABLE.
 */
export async function getCheckpoint(
  deps: EventReads,
  viewer: Viewer,
  workspaceId: string,
): Promise<SignedCheckpoint | null> {
  const workspace = await findReachableWorkspace(deps, viewer, 'checkpoint', workspaceId)
  if (workspace === null) return null
  const { id, dataRegion, companyId } = workspace
  const deadline = deadlineAfter(deps.regionDeadlineMs)
  return valueOf(await deps.gateway.read(dataRegion, [companyId], deadline, (tx) => findCheckpoint(tx, id)))
}
