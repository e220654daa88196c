import { changeControl } from '../admin-log/change-control.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { WorkspaceFacts } from '../directory/facts.js'
import type { Clock } from '../kernel/clock.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { inReplica } from './replica-transaction.js'
import { markForPurge } from './replica.store.js'

export interface ResyncReplicaDeps {
  readonly control: Database
  readonly registry: Pick<RegionRegistry, 'use'>
  readonly facts: Pick<ControlFacts, 'workspace'>
  readonly clock: Clock
  /** Told so that it begins at once. */
  readonly onResync: () => void
}

/**
 * Has the replica of a workspace in a region rebuilt from its home: what is there is deleted and copied again in the
 * background, and until it is whole nothing is read from it. Staff. UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, NOT_FOUND
 * (no such workspace), BAD_USER_INPUT (no replica of it there), REGION_UNAVAILABLE (that region, or control).
 */
export async function resyncReplica(
  deps: ResyncReplicaDeps,
  viewer: Viewer,
  input: {
    /** UUID. */
    readonly workspaceId: string
    readonly region: Region
  },
): Promise<WorkspaceFacts> {
  const session = admitSession(viewer, 'resyncReplica')
  const { workspaceId, region } = input
  const workspace = await deps.facts.workspace(workspaceId)
  if (workspace === null) throw notFound('Workspace')
  const { companyId } = workspace
  await changeControl(deps, async ({ log }) => {
    log({
      companyId,
      actor: { kind: 'user', userId: session.user.id },
      action: 'replica.resync_begun',
      category: 'region',
      target: { type: 'workspace', id: encodeId('workspace', workspaceId) },
      payload: { region },
    })
    if ((await mark(deps, region, companyId, workspaceId)) === 0)
      throw badInput('input.region', 'keeps no replica of this workspace.')
  })
  deps.onResync()
  return workspace
}

async function mark(
  { registry }: ResyncReplicaDeps,
  region: Region,
  companyId: string,
  workspaceId: string,
): Promise<number> {
  try {
    return await registry.use(region, (place) => inReplica(place, companyId, (tx) => markForPurge(tx, [workspaceId])))
  } catch (error) {
    if (!(error instanceof DatabaseError) || !error.unavailable) throw error
    throw new DomainError('REGION_UNAVAILABLE', `Region ${region} does not answer now.`, {
      details: { regions: [region] },
      cause: error,
    })
  }
}
