import { admitSomebody, findReach, reachesWorkspace } from '../auth/permissions.js'
import type { Operation } from '../auth/permission-table.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { WorkspaceFacts } from '../directory/facts.js'
import { decodeId } from '../kernel/ids.js'

/**
 * True where the caller may be shown what belongs to a workspace; null: to the whole company. Asks nobody, so it is for
 * what hangs on something that the caller was let into.
 */
export function seesWorkspace(viewer: Viewer, companyId: string, workspaceId: string | null): boolean {
  switch (viewer.kind) {
    case 'anonymous':
      return false
    case 'apiKey':
      return viewer.key.companyId === companyId && (viewer.key.workspaceId ?? workspaceId) === workspaceId
    case 'user':
      return viewer.memberships.some((one) => one.companyId === companyId && reachesWorkspace(one, workspaceId))
    case 'staff':
      return true
  }
}

/**
 * A workspace that the caller reaches, or null. Throws UNAUTHENTICATED, BAD_USER_INPUT (not a workspace id),
 * TOTP_REQUIRED, REGION_UNAVAILABLE.
 */
export async function getWorkspace(
  deps: { readonly facts: ControlFacts },
  viewer: Viewer,
  id: string,
  operation: Operation = 'workspace',
  field = 'id',
): Promise<WorkspaceFacts | null> {
  const admitted = admitSomebody(viewer, operation)
  const uuid = decodeId('workspace', id, field)
  // A key is not told about workspaces by what their look-up costs.
  if (admitted.kind === 'apiKey' && admitted.key.workspaceId !== null && admitted.key.workspaceId !== uuid) return null
  const workspace = await deps.facts.workspace(uuid)
  if (workspace === null) return null
  const reach = await findReach(deps, viewer, operation, workspace.companyId)
  return reach !== null && reachesWorkspace(reach, workspace.id) ? workspace : null
}

/** The workspaces of a company (a UUID) that the caller reaches, oldest first. */
export async function listReachableWorkspaces(
  deps: { readonly facts: ControlFacts },
  viewer: Viewer,
  companyId: string,
): Promise<readonly WorkspaceFacts[]> {
  if (viewer.kind === 'apiKey' && viewer.key.workspace !== null)
    return seesWorkspace(viewer, companyId, viewer.key.workspaceId) ? [viewer.key.workspace] : []
  const workspaces = await deps.facts.workspacesOf(companyId)
  return workspaces.filter(({ id }) => seesWorkspace(viewer, companyId, id))
}
