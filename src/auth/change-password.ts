import { changeControl } from '../admin-log/change-control.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { badInput, DomainError } from '../kernel/domain-error.js'
import { putPasswordHash } from './account.store.js'
import { hashPassword } from './password.js'
import { requirePassword, validNewPassword } from './password-rules.js'
import { admitSession } from './permissions.js'
import { deleteOtherSessionsOf, markForRenewal } from './session.store.js'
import { attemptBuckets, countAttempt, forgiveAttempt } from './sign-in-limits.js'
import { sessionEntries, type SignInDeps } from './sign-in.js'
import { accountOf } from './sign-out.js'
import type { Viewer } from './viewer.js'

export interface ChangePasswordInput {
  readonly currentPassword: string
  readonly newPassword: string
  readonly clientIp: string | null
}

/**
 * Gives the caller's account another password and ends its other sessions; this one gets a new id with its next request.
 * Answers how many ended. UNAUTHENTICATED (the current password is wrong), FORBIDDEN (an API key), BAD_USER_INPUT (the new
 * one is too short, or the same), RATE_LIMITED as for signing in, REGION_UNAVAILABLE.
 */
export async function changePassword(
  deps: Omit<SignInDeps, 'secrets'>,
  viewer: Viewer,
  input: ChangePasswordInput,
): Promise<number> {
  const session = admitSession(viewer, 'changePassword')
  const newPassword = validNewPassword(input.newPassword, 'input.newPassword')
  if (newPassword.normalize('NFKC') === input.currentPassword.normalize('NFKC'))
    throw badInput('input.newPassword', 'must be another one than the current.')
  const { id: userId, email } = session.user
  const buckets = attemptBuckets(deps.attemptKey, email, input.clientIp)
  return orControlUnavailable(async () => {
    await countAttempt(deps.control, buckets, deps.clock.now())
    const account = await requirePassword(deps.control, userId, input.currentPassword, 'input.currentPassword')
    // Hashing takes its time, so it is done before anything is locked.
    const passwordHash = await hashPassword(newPassword)
    return changeControl(deps, async ({ tx, log }) => {
      if (!(await putPasswordHash(tx, userId, { from: account.password_hash, to: passwordHash })))
        throw new DomainError('UNAUTHENTICATED', 'The password was changed by another request just now.')
      const sessions = await deleteOtherSessionsOf(tx, userId, session.session.id)
      await markForRenewal(tx, [userId])
      await forgiveAttempt(tx, buckets)
      for (const entry of sessionEntries(accountOf(session), 'session.password_changed', { sessions })) log(entry)
      return sessions
    })
  })
}
