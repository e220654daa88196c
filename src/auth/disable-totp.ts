import { changeControl } from '../admin-log/change-control.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { DomainError } from '../kernel/domain-error.js'
import { deleteTotpSecret, lockTotpSecret } from './account.store.js'
import { requirePassword } from './password-rules.js'
import { admitSession } from './permissions.js'
import { deleteOtherSessionsOf, markForRenewal } from './session.store.js'
import { attemptBuckets, countAttempt, forgiveAttempt } from './sign-in-limits.js'
import { sessionEntries, type SignInDeps } from './sign-in.js'
import { accountOf } from './sign-out.js'
import { acceptedStep } from './totp.js'
import type { Viewer } from './viewer.js'

export interface DisableTotpInput {
  readonly password: string
  /** What the authenticator app shows now. */
  readonly code: string
  readonly clientIp: string | null
}

/**
 * Takes the second factor off the caller's account, by password and a code of it, and ends its other sessions; answers
 * how many. Another one can then be enrolled. UNAUTHENTICATED (password or code), CONFLICT (there is none), FORBIDDEN (an
 * API key), RATE_LIMITED as for signing in, BAD_USER_INPUT, REGION_UNAVAILABLE.
 */
export async function disableTotp(deps: SignInDeps, viewer: Viewer, input: DisableTotpInput): Promise<number> {
  const session = admitSession(viewer, 'disableTotp')
  const { id: userId, email } = session.user
  const buckets = attemptBuckets(deps.attemptKey, email, input.clientIp)
  return orControlUnavailable(async () => {
    const now = deps.clock.now()
    await countAttempt(deps.control, buckets, now)
    await requirePassword(deps.control, userId, input.password, 'input.password')
    return changeControl(deps, async ({ tx, log }) => {
      const factor = await lockTotpSecret(tx, userId)
      if (factor === null || !factor.confirmed) throw new DomainError('CONFLICT', 'This account has no second factor.')
      const secret = deps.secrets.openTotpSecret(userId, factor.sealed)
      if (acceptedStep(secret, input.code, now, factor.lastStep) === null)
        throw new DomainError('UNAUTHENTICATED', 'The code is wrong, or was used before.')
      await deleteTotpSecret(tx, userId)
      const sessions = await deleteOtherSessionsOf(tx, userId, session.session.id)
      await markForRenewal(tx, [userId])
      await forgiveAttempt(tx, buckets)
      for (const entry of sessionEntries(accountOf(session), 'session.totp_disabled', { sessions })) log(entry)
      return sessions
    })
  })
}
