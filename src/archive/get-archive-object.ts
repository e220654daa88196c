import type { Operation } from '../auth/permission-table.js'
import { admitSomebody, findReach, reachesWorkspace } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { decodeRegionalId } from '../kernel/ids.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { ArchiveObject } from './archive-object.js'
import { findAnyObject, findObjects } from './archive-object.store.js'
import { orUnavailable } from './or-unavailable.js'

const TIMEOUT_MS = 5_000

export interface ArchiveObjectReads {
  readonly registry: Pick<RegionRegistry, 'use' | 'find'>
  readonly facts: ControlFacts
}

/**
 * An archive object of a workspace in which the caller may do this, or null. Throws UNAUTHENTICATED, FORBIDDEN,
 * TOTP_REQUIRED, BAD_USER_INPUT (not an id of one), REGION_UNAVAILABLE.
 */
export async function findArchiveObject(
  { registry, facts }: ArchiveObjectReads,
  viewer: Viewer,
  operation: Operation,
  id: string,
  field = 'id',
): Promise<ArchiveObject | null> {
  const admitted = admitSomebody(viewer, operation)
  const { uuid, region } = decodeRegionalId('archiveObject', id, field)
  if (registry.find(region) === undefined) return null
  return orUnavailable(region, () =>
    registry.use(region, async ({ database }) => {
      const found = await findAnyObject(database, region, uuid)
      const workspace = found === null ? null : await facts.workspace(found.workspaceId)
      if (workspace === null) return null
      // A key is not told about other companies by what their look-up costs.
      if (admitted.kind === 'apiKey' && admitted.key.companyId !== workspace.companyId) return null
      const reach = await findReach({ facts }, viewer, operation, workspace.companyId)
      if (reach === null || !reachesWorkspace(reach, workspace.id)) return null
      const options = { companies: [workspace.companyId], readOnly: true, timeoutMs: TIMEOUT_MS }
      const [object] = await database.transaction(options, (tx) => findObjects(tx, region, [uuid]))
      return object ?? null
    }),
  )
}
