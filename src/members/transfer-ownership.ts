import { changeControl } from '../admin-log/change-control.js'
import { admitToCompany } from '../auth/permissions.js'
import { markForRenewal } from '../auth/session.store.js'
import type { Viewer } from '../auth/viewer.js'
import { badInput, notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import { getMember, type MemberDeps } from './list-members.js'
import { roleNow } from './member-rules.js'
import { lockRoles, type MemberRecord, putRole } from './member.store.js'

/**
 * Makes another member OWNER in the caller's place, who becomes an ADMIN: both or neither. UNAUTHENTICATED, FORBIDDEN
 * (not an OWNER), NOT_FOUND, BAD_USER_INPUT (to oneself), REGION_UNAVAILABLE. Ids are UUIDs.
 */
export async function transferOwnership(
  deps: MemberDeps,
  viewer: Viewer,
  input: { readonly companyId: string; readonly userId: string },
): Promise<MemberRecord> {
  const { companyId, userId } = input
  const session = admitToCompany(viewer, 'transferOwnership', companyId)
  const from = session.user.id
  if (userId === from) throw badInput('input.userId', 'must be somebody else.')
  await changeControl(deps, async ({ tx, log }) => {
    const now = deps.clock.now()
    const roles = await lockRoles(tx, companyId)
    roleNow(session, 'transferOwnership', roles)
    const before = roles.get(userId)
    if (before === undefined) throw notFound('Member')
    await putRole(tx, { companyId, userId, role: 'OWNER', now })
    await putRole(tx, { companyId, userId: from, role: 'ADMIN', now })
    await markForRenewal(tx, [userId, from])
    log({
      companyId,
      actor: { kind: 'user', userId: from },
      action: 'member.ownership_transferred',
      category: 'member',
      target: { type: 'user', id: encodeId('user', userId) },
      payload: { old: before, from: encodeId('user', from) },
    })
  })
  return getMember(deps, companyId, userId)
}
