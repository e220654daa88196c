import { changeControl } from '../admin-log/change-control.js'
import type { Database } from '../db/database.js'
import { orControlUnavailable } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { isStorable } from '../kernel/plain-text.js'
import { deleteTotpSecret, findCredentialsById } from './account.store.js'
import { admitSession } from './permissions.js'
import { deleteSessionsOf } from './session.store.js'
import { sessionEntries } from './sign-in.js'
import type { Viewer } from './viewer.js'

export const TOTP_RESET_REASON_CHARACTERS_MAX = 500

/**
 * Takes the second factor off an account (a UUID) whose owner has lost it, and ends all its sessions; answers how many.
 * It is in the admin log of each of the account's companies, with the reason. Nobody does it to their own account: see
 * disableTotp. Staff. UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, CONFLICT (there is none), BAD_USER_INPUT, REGION_UNAVAILABLE.
 */
export async function resetTotp(
  deps: { readonly control: Database; readonly clock: Clock },
  viewer: Viewer,
  input: { readonly userId: string; readonly reason: string },
): Promise<number> {
  const { userId } = input
  const session = admitSession(viewer, 'resetTotp')
  const reason = input.reason.trim()
  if (reason === '' || reason.length > TOTP_RESET_REASON_CHARACTERS_MAX || !isStorable(reason))
    throw badInput('input.reason', `must have 1 to ${TOTP_RESET_REASON_CHARACTERS_MAX} characters of plain text.`)
  if (userId === session.user.id)
    throw new DomainError('FORBIDDEN', 'Nobody resets the second factor of their own account: use disableTotp.')
  const account = await orControlUnavailable(() => findCredentialsById(deps.control, userId))
  if (account === null) throw notFound('User')
  return changeControl(deps, async ({ tx, log }) => {
    if (!(await deleteTotpSecret(tx, userId))) throw new DomainError('CONFLICT', 'This account has no second factor.')
    const sessions = await deleteSessionsOf(tx, userId)
    for (const entry of sessionEntries(account, 'session.totp_reset', { reason, sessions }))
      log({ ...entry, actor: { kind: 'user', userId: session.user.id } })
    return sessions
  })
}
