import { changeControl } from '../admin-log/change-control.js'
import { admitSession, admitToCompany } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import { findInvitationCompany, revokeOpenInvitation } from './invitation.store.js'
import type { MemberDeps } from './list-members.js'
import { refuseOwnersTo, roleNow } from './member-rules.js'
import { lockRoles } from './member.store.js'

/**
 * Takes an invitation (a UUID) back: its token is worth nothing from then on. UNAUTHENTICATED, FORBIDDEN (an ADMIN, and
 * the invitation of an OWNER), NOT_FOUND (also another company's), CONFLICT (accepted, taken back, or over),
 * REGION_UNAVAILABLE.
 */
export async function revokeInvitation(deps: MemberDeps, viewer: Viewer, invitationId: string): Promise<void> {
  admitSession(viewer, 'revokeInvitation')
  const companyId = await orControlUnavailable(() => findInvitationCompany(deps.control, invitationId))
  if (companyId === null) throw notFound('Invitation')
  const session = admitToCompany(viewer, 'revokeInvitation', companyId, 'Invitation')
  await changeControl(deps, async ({ tx, log }) => {
    const own = roleNow(session, 'revokeInvitation', await lockRoles(tx, companyId))
    const role = await revokeOpenInvitation(tx, invitationId, deps.clock.now())
    if (role === null)
      throw new DomainError('CONFLICT', 'This invitation was accepted or taken back before, or its time is over.')
    refuseOwnersTo(own, role)
    log({
      companyId,
      actor: { kind: 'user', userId: session.user.id },
      action: 'member.invitation_revoked',
      category: 'member',
      target: { type: 'invitation', id: encodeId('invitation', invitationId) },
      payload: { role },
    })
  })
}
