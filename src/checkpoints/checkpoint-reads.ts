import { admitSomebody, findReach, reachesWorkspace } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { WorkspaceFacts } from '../directory/facts.js'
import type { EventReads } from '../events/event-reads.js'
import { decodeId } from '../kernel/ids.js'

/** The workspace of an argument `workspaceId` that the caller reaches, or null. Throws what {@link findReach} throws. */
export async function findReachableWorkspace(
  deps: Pick<EventReads, 'facts'>,
  viewer: Viewer,
  operation: 'checkpoint' | 'consistencyProof',
  workspaceId: string,
): Promise<WorkspaceFacts | null> {
  const admitted = admitSomebody(viewer, operation)
  const uuid = decodeId('workspace', workspaceId, 'workspaceId')
  // A key is not told about workspaces by what their look-up costs.
  if (admitted.kind === 'apiKey' && (admitted.key.workspaceId ?? uuid) !== uuid) return null
  const workspace = await deps.facts.workspace(uuid)
  if (workspace === null) return null
  const reach = await findReach(deps, viewer, operation, workspace.companyId)
  return reach !== null && reachesWorkspace(reach, uuid) ? workspace : null
}
