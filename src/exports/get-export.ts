import { admitSomebody, findReaches, reachesWorkspace } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { decodeRegionalId } from '../kernel/ids.js'
import { withControlReachable } from './control-reachable.js'
import type { ExportJob } from './export-job.js'
import { findExport } from './export-job.store.js'
import type { ExportReads } from './request-export.js'

/**
 * An export of a workspace the caller may read, whoever asked for it; null where there is none, or it is another's.
 * Throws UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT (not an export's id), REGION_UNAVAILABLE.
 */
export async function getExport(deps: ExportReads, viewer: Viewer, id: string): Promise<ExportJob | null> {
  admitSomebody(viewer, 'export')
  const { uuid, region } = decodeRegionalId('export', id, 'id')
  const job = await withControlReachable(() => findExport(deps.control, uuid, deps.regionDeadlineMs))
  if (job === null || job.region !== region) return null
  const reaches = await findReaches(deps, viewer, 'export', job.companyId)
  return reaches.some((reach) => reach.companyId === job.companyId && reachesWorkspace(reach, job.workspaceId))
    ? job
    : null
}
