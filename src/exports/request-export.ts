import { requireWorkspaceReader } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { EventReads } from '../events/event-reads.js'
import { badInput, DomainError } from '../kernel/domain-error.js'
import { decodeId, newUuid } from '../kernel/ids.js'
import { withControlReachable } from './control-reachable.js'
import type { ExportFormat, ExportJob, ExportScope } from './export-job.js'
import { insertExport } from './export-job.store.js'

/** Exports of one company that are queued or being written. */
export const EXPORTS_OPEN_MAX = 10
/** Files of one company that are kept at a time: disks are finite. */
export const EXPORTS_KEPT_MAX = 200
const RETRY_AFTER_MS = 10_000
const RATE_LIMITED_MESSAGE = `A company may have ${EXPORTS_OPEN_MAX} exports under way and ${EXPORTS_KEPT_MAX} kept: wait for one to be over.`

export interface ExportReads extends Pick<EventReads, 'facts' | 'control' | 'clock' | 'archives' | 'regionDeadlineMs'> {
  /** Tells this process that the queue has grown. */
  readonly onRequested: () => void
}

export interface RequestExport {
  readonly workspaceId: string | null
  readonly from: Date | null
  readonly to: Date | null
  readonly format: ExportFormat
  readonly scope: ExportScope
}

/**
 * Asks for an export of a workspace the caller may read, of the events received in [from, to). It is written in the
 * background. Throws UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, RATE_LIMITED (the company has as many under
 * way as it may), REGION_UNAVAILABLE, RESTORE_REQUIRED (cold archive objects are to be exported).
 */
export async function requestExport(deps: ExportReads, viewer: Viewer, input: RequestExport): Promise<ExportJob> {
  const uuid = input.workspaceId === null ? null : decodeId('workspace', input.workspaceId, 'input.workspaceId')
  const { workspace } = await requireWorkspaceReader(deps, viewer, 'requestExport', uuid)
  const { from, to, format, scope } = input
  if (from !== null && to !== null && from >= to) throw badInput('input.to', 'must be later than from.')
  if (scope !== 'HOT')
    await deps.archives.requireReadable(workspace.dataRegion, workspace.companyId, workspace.id, { from, to })
  const createdAt = deps.clock.now()
  const job = await withControlReachable(() =>
    insertExport(
      deps.control,
      {
        id: newUuid(createdAt.getTime()),
        companyId: workspace.companyId,
        workspaceId: workspace.id,
        region: workspace.dataRegion,
        format,
        scope,
        from,
        to,
        createdAt,
      },
      { openMax: EXPORTS_OPEN_MAX, keptMax: EXPORTS_KEPT_MAX },
    ),
  )
  if (job === null)
    throw new DomainError('RATE_LIMITED', RATE_LIMITED_MESSAGE, {
      details: { retryAfterMs: RETRY_AFTER_MS },
    })
  deps.onRequested()
  return job
}
