import { changeControl } from '../admin-log/change-control.js'
import { hashPassword } from '../auth/password.js'
import { validNewPassword } from '../auth/password-rules.js'
import { admit } from '../auth/permissions.js'
import { markForRenewal } from '../auth/session.store.js'
import { tokenHash } from '../auth/session-token.js'
import type { Viewer } from '../auth/viewer.js'
import { insertUser } from '../directory/app-user.store.js'
import { withControl } from '../directory/with-control.js'
import { transactionOf } from '../db/entity-transaction.js'
import { DatabaseError } from '../db/database-error.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { validName } from '../workspaces/naming.js'
import { closeInvitation, findInvited, lockInvitation, type OpenInvitation } from './invitation.store.js'
import { getMember, type MemberDeps } from './list-members.js'
import { MEMBERS_MAX } from './member-rules.js'
import { lockRoles, type MemberRecord, putRole, putWorkspaces, seesAll } from './member.store.js'

export interface AcceptInvitationInput {
  readonly token: string
  /** Of somebody new: how it wants to be called, and the password of the account that is made. */
  readonly name: string | null
  readonly password: string | null
}

/**
 * Makes the caller a member by an invitation, which ends with it. Somebody new gets an account under the invited address
 * with the name and password given, and signs in afterwards; who has an account must be signed in with it.
 * UNAUTHENTICATED (sign in first), FORBIDDEN (somebody else's, staff, an API key), NOT_FOUND (unknown, used, expired),
 * BAD_USER_INPUT, CONFLICT, REGION_UNAVAILABLE.
 */
export async function acceptInvitation(
  deps: MemberDeps,
  viewer: Viewer,
  input: AcceptInvitationInput,
): Promise<MemberRecord> {
  const caller = admit(viewer, 'acceptInvitation')
  const hash = tokenHash(input.token)
  if (hash === null) throw notFound('Invitation')
  const newcomer = caller.kind === 'anonymous' ? await newAccount(deps, hash, input) : null
  const accepted = await changeControl(deps, async ({ em, tx, log }) => {
    const now = deps.clock.now()
    const invitation = await lockInvitation(tx, hash, now)
    if (invitation === null) throw notFound('Invitation')
    const companyId = invitation.company_id
    const userId = newcomer === null ? ownAccount(caller, invitation) : newUuid(now.getTime())
    if (newcomer !== null)
      await insertUser(em, { id: userId, email: invitation.email, ...newcomer, staffRole: null, createdAt: now })
    const roles = await lockRoles(tx, companyId)
    if (roles.has(userId)) throw new DomainError('CONFLICT', 'You are a member of this company already.')
    if (roles.size >= MEMBERS_MAX) throw new DomainError('CONFLICT', `A company has at most ${MEMBERS_MAX} members.`)
    await putRole(tx, { companyId, userId, role: invitation.role, now })
    if (!seesAll(invitation.role))
      await putWorkspaces(tx, { companyId, userId, workspaceIds: invitation.workspace_ids, now })
    await closeInvitation(tx, invitation.id, userId, now)
    await markForRenewal(tx, [userId])
    log({
      companyId,
      actor: { kind: 'user', userId },
      action: 'member.joined',
      category: 'member',
      target: { type: 'user', id: encodeId('user', userId) },
      payload: { role: invitation.role, invitation: encodeId('invitation', invitation.id) },
    })
    return { companyId, userId }
  }).catch((error: unknown) => {
    // Two tokens of one address used at once: the account exists by now.
    if (error instanceof DatabaseError && error.kind === 'unique_violation') throw signInFirst(error)
    throw error
  })
  return getMember(deps, accepted.companyId, accepted.userId)
}

function ownAccount(caller: Viewer, invitation: OpenInvitation): string {
  if (caller.kind !== 'user' || caller.user.email !== invitation.email)
    throw new DomainError('FORBIDDEN', 'The invitation is for another account than the one signed in.')
  return caller.user.id
}

/** The account that somebody new asks for. Hashing takes its time, so it is done before anything is locked. */
async function newAccount(
  deps: MemberDeps,
  hash: Buffer,
  input: AcceptInvitationInput,
): Promise<{ name: string; passwordHash: string }> {
  await withControl(deps.control, (root) =>
    root.transactional(async (em) => {
      const tx = transactionOf(em)
      const invitation = await lockInvitation(tx, hash, deps.clock.now())
      if (invitation === null) throw notFound('Invitation')
      if ((await findInvited(tx, invitation.email)) !== null) throw signInFirst()
    }),
  )
  if (input.name === null) throw badInput('input.name', 'must be given for a new account.')
  const name = validName(input.name, 'input.name')
  if (input.password === null) throw badInput('input.password', 'must be given for a new account.')
  return { name, passwordHash: await hashPassword(validNewPassword(input.password, 'input.password')) }
}

const signInFirst = (cause?: unknown): DomainError =>
  new DomainError('UNAUTHENTICATED', 'There is an account with the invited address: sign in with it first.', { cause })
