import { requireCompanyReader } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { type InvitationRecord, readInvitations } from './invitation.store.js'
import type { MemberDeps } from './list-members.js'

/**
 * The invitations of a company that can still be accepted, newest first. `companyId` (UUID) may be left out by who is of
 * one company. UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, REGION_UNAVAILABLE.
 */
export async function listInvitations(
  deps: MemberDeps,
  viewer: Viewer,
  companyId: string | null,
): Promise<readonly InvitationRecord[]> {
  const reach = await requireCompanyReader(deps, viewer, 'invitations', companyId)
  return orControlUnavailable(() => readInvitations(deps.control, reach.companyId, deps.clock.now()))
}
