import { changeControl } from '../admin-log/change-control.js'
import { admitToCompany } from '../auth/permissions.js'
import { newToken, tokenHash } from '../auth/session-token.js'
import { EMAIL_CHARACTERS_MAX } from '../auth/sign-in.js'
import type { Viewer } from '../auth/viewer.js'
import type { CompanyRole } from '../directory/app-user.entity.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { findInvited, type InvitationRecord, putInvitation } from './invitation.store.js'
import type { MemberDeps } from './list-members.js'
import { MEMBERS_MAX, refuseOwnersTo, roleNow, validWorkspaceIds } from './member-rules.js'
import { countOwnWorkspaces, lockRoles } from './member.store.js'

/** An invitation is good for this long. */
export const INVITATION_MS = 7 * 24 * 60 * 60_000

export interface InviteMemberInput {
  /** UUID. */
  readonly companyId: string
  readonly email: string
  readonly role: CompanyRole
  /** UUIDs; what a MEMBER or VIEWER will see. */
  readonly workspaceIds: readonly string[]
}

/**
 * Invites somebody to a company. Nothing is mailed: the token is in this answer and nowhere else, for the caller to pass
 * on. A new invitation of the same address takes the place of the one before. UNAUTHENTICATED, FORBIDDEN, NOT_FOUND,
 * BAD_USER_INPUT, CONFLICT (a member already, or too many), REGION_UNAVAILABLE.
 */
export async function inviteMember(
  deps: MemberDeps,
  viewer: Viewer,
  input: InviteMemberInput,
): Promise<{ readonly invitation: InvitationRecord; readonly token: string }> {
  const { companyId, role } = input
  const session = admitToCompany(viewer, 'inviteMember', companyId)
  const email = validEmail(input.email, 'input.email')
  const workspaceIds = validWorkspaceIds(role, input.workspaceIds, 'input.workspaceIds')
  if ((await deps.facts.company(companyId)) === null) throw notFound('Company')
  const token = newToken()
  return changeControl(deps, async ({ tx, log }) => {
    const roles = await lockRoles(tx, companyId)
    refuseOwnersTo(roleNow(session, 'inviteMember', roles), role)
    const invited = await findInvited(tx, email)
    if (invited !== null && roles.has(invited.id)) throw new DomainError('CONFLICT', 'This person is a member already.')
    if (roles.size >= MEMBERS_MAX) throw new DomainError('CONFLICT', `A company has at most ${MEMBERS_MAX} members.`)
    if ((await countOwnWorkspaces(tx, companyId, workspaceIds)) !== workspaceIds.length) throw notFound('Workspace')
    const createdAt = deps.clock.now()
    const expiresAt = new Date(createdAt.getTime() + INVITATION_MS)
    const invitation = { id: newUuid(createdAt.getTime()), companyId, email, role, workspaceIds, createdAt, expiresAt }
    await putInvitation(tx, { ...invitation, tokenHash: tokenHash(token)!, invitedBy: session.user.id })
    log({
      companyId,
      actor: { kind: 'user', userId: session.user.id },
      action: 'member.invited',
      category: 'member',
      target: { type: 'invitation', id: encodeId('invitation', invitation.id) },
      // Who was invited has no account yet: the address stands in the invitation, not here.
      payload: { role, workspaces: workspaceIds.map((id) => encodeId('workspace', id)) },
    })
    return { invitation, token }
  })
}

const emailForm = /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u

/** An address in lower case without blanks around it. BAD_USER_INPUT. */
export function validEmail(text: string, field: string): string {
  const email = text.trim().toLowerCase()
  if (email.length > EMAIL_CHARACTERS_MAX || !email.isWellFormed() || !emailForm.test(email))
    throw badInput(field, 'must be an e-mail address.')
  return email
}
