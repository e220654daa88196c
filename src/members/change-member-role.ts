import { changeControl } from '../admin-log/change-control.js'
import { admitToCompany } from '../auth/permissions.js'
import { markForRenewal } from '../auth/session.store.js'
import type { Viewer } from '../auth/viewer.js'
import type { CompanyRole } from '../directory/app-user.entity.js'
import { notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import { getMember, type MemberDeps } from './list-members.js'
import { refuseLosingLastOwner, refuseOwnersTo, roleNow, validWorkspaceIds } from './member-rules.js'
import { lockRoles, type MemberRecord, putRole, putWorkspaces } from './member.store.js'

export interface ChangeMemberRoleInput {
  /** UUIDs. */
  readonly companyId: string
  readonly userId: string
  readonly role: CompanyRole
  /** UUIDs; what a MEMBER or VIEWER sees from now on. Null: what they saw before. */
  readonly workspaceIds: readonly string[] | null
}

/**
 * Changes somebody's role, or which workspaces it sees; it counts from its next request on, whose session then gets a
 * new id. UNAUTHENTICATED, FORBIDDEN (an ADMIN and an OWNER), NOT_FOUND, BAD_USER_INPUT, CONFLICT (the last OWNER),
 * REGION_UNAVAILABLE.
 */
export async function changeMemberRole(
  deps: MemberDeps,
  viewer: Viewer,
  input: ChangeMemberRoleInput,
): Promise<MemberRecord> {
  const { companyId, userId, role } = input
  const session = admitToCompany(viewer, 'changeMemberRole', companyId)
  const workspaceIds = input.workspaceIds && validWorkspaceIds(role, input.workspaceIds, 'input.workspaceIds')
  await changeControl(deps, async ({ tx, log }) => {
    const now = deps.clock.now()
    const roles = await lockRoles(tx, companyId)
    const before = roles.get(userId)
    const own = roleNow(session, 'changeMemberRole', roles)
    if (before === undefined) throw notFound('Member')
    refuseOwnersTo(own, before, role)
    if (role !== 'OWNER') refuseLosingLastOwner(roles, userId)
    await putRole(tx, { companyId, userId, role, now })
    if (workspaceIds !== null && !(await putWorkspaces(tx, { companyId, userId, workspaceIds, now })))
      throw notFound('Workspace')
    await markForRenewal(tx, [userId])
    log({
      companyId,
      actor: { kind: 'user', userId: session.user.id },
      action: 'member.role_changed',
      category: 'member',
      target: { type: 'user', id: encodeId('user', userId) },
      payload: {
        old: before,
        new: role,
        workspaces: workspaceIds && workspaceIds.map((id) => encodeId('workspace', id)),
      },
    })
  })
  return getMember(deps, companyId, userId)
}
