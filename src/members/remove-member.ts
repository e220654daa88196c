import { changeControl } from '../admin-log/change-control.js'
import { admitToCompany } from '../auth/permissions.js'
import { markForRenewal } from '../auth/session.store.js'
import type { Viewer } from '../auth/viewer.js'
import { notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import type { MemberDeps } from './list-members.js'
import { refuseLosingLastOwner, refuseOwnersTo, roleNow } from './member-rules.js'
import { deleteMember, lockRoles } from './member.store.js'

/**
 * Ends somebody's membership; the next request it makes finds the company gone. The account stays. UNAUTHENTICATED,
 * FORBIDDEN (an ADMIN and an OWNER), NOT_FOUND, CONFLICT (the last OWNER), REGION_UNAVAILABLE. Ids are UUIDs.
 */
export async function removeMember(
  deps: MemberDeps,
  viewer: Viewer,
  input: { readonly companyId: string; readonly userId: string },
): Promise<void> {
  const { companyId, userId } = input
  const session = admitToCompany(viewer, 'removeMember', companyId)
  await changeControl(deps, async ({ tx, log }) => {
    const roles = await lockRoles(tx, companyId)
    const before = roles.get(userId)
    const own = roleNow(session, 'removeMember', roles)
    if (before === undefined) throw notFound('Member')
    refuseOwnersTo(own, before)
    refuseLosingLastOwner(roles, userId)
    await deleteMember(tx, companyId, userId)
    await markForRenewal(tx, [userId])
    log({
      companyId,
      actor: { kind: 'user', userId: session.user.id },
      action: 'member.removed',
      category: 'member',
      target: { type: 'user', id: encodeId('user', userId) },
      payload: { role: before },
    })
  })
}
