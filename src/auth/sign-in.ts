import type { KeyObject } from 'node:crypto'
import type { AdminEntry } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import type { Database } from '../db/database.js'
import { orControlUnavailable } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import { badInput, DomainError } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { isStorable } from '../kernel/plain-text.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import { type AccountCredentials, claimTotpStep, findCredentials, holdPassword } from './account.store.js'
import { decoyHash, verifyPassword } from './password.js'
import { refuseLongPassword } from './password-rules.js'
import { deleteSessionByToken, insertSession } from './session.store.js'
import { newToken, SESSION_AGE_MS_MAX, tokenHash } from './session-token.js'
import { attemptBuckets, type AttemptBuckets, countAttempt, forgiveAttempt, mayLogFailure } from './sign-in-limits.js'
import { acceptedStep } from './totp.js'
import type { Account } from './viewer.js'

export const EMAIL_CHARACTERS_MAX = 320

export interface SignInDeps {
  readonly control: Database
  readonly clock: Clock
  readonly secrets: ControlSecrets
  /** Key of the counters of attempts: see attemptBuckets. */
  readonly attemptKey: KeyObject
}

export interface SignInInput {
  readonly email: string
  readonly password: string
  readonly totpCode: string | null
  readonly clientIp: string | null
  /** The session the browser had before, which ends. */
  readonly presentedToken: string | null
}

/**
 * Signs somebody in: a session with a fresh token, which is in this answer and nowhere else. `UNAUTHENTICATED` for a
 * wrong address, password or code, the same answer after the same time for an account that doesn't exist;
 * `TOTP_REQUIRED`; `RATE_LIMITED` with `retryAfterMs`; `BAD_USER_INPUT`; `REGION_UNAVAILABLE`. Attempts that fail are
 * in the admin log, in the chain of no company, as long as there aren't too many.
 */
export async function signIn(
  deps: SignInDeps,
  input: SignInInput,
): Promise<{ readonly user: Account; readonly token: string; readonly expiresAt: Date }> {
  const { control, clock } = deps
  refuseLongPassword(input.password, 'input.password')
  const email = input.email.trim().toLowerCase()
  if (email.length > EMAIL_CHARACTERS_MAX)
    throw badInput('input.email', `must be at most ${EMAIL_CHARACTERS_MAX} characters long.`)
  const buckets = attemptBuckets(deps.attemptKey, email, input.clientIp)
  return orControlUnavailable(async () => {
    await countAttempt(control, buckets, clock.now())
    const account = isStorable(email) ? await findCredentials(control, email) : null
    const matches = await verifyPassword(account?.password_hash ?? decoyHash, input.password)
    if (account === null || !matches) return fail(deps, buckets, account, 'password')
    const step = checkCode(deps, account, input.totpCode)
    if (step === 'refused') return fail(deps, buckets, account, 'code')
    const begun = await beginSession(deps, input, buckets, account, step)
    return begun ?? fail(deps, buckets, account, 'code')
  })
}

async function fail(
  deps: SignInDeps,
  buckets: AttemptBuckets,
  account: AccountCredentials | null,
  wrong: 'password' | 'code',
): Promise<never> {
  const { control, clock } = deps
  if (await mayLogFailure(control, buckets, clock.now())) {
    const entry: AdminEntry = {
      companyId: null,
      actor: { kind: 'nobody' },
      action: 'session.sign_in_failed',
      category: 'session',
      // Who has no account is named nowhere.
      target: account === null ? null : { type: 'user', id: encodeId('user', account.id) },
      payload: { wrong: account === null ? 'account' : wrong },
    }
    await changeControl(deps, ({ log }) => Promise.resolve(log(entry)))
  }
  throw new DomainError('UNAUTHENTICATED', 'The e-mail address, the password or the code is wrong.')
}

/** The time step of a good code; null where none is needed. */
function checkCode(deps: SignInDeps, account: AccountCredentials, code: string | null): number | null | 'refused' {
  if (account.totp_sealed === null) return null
  if (code === null || code === '')
    throw new DomainError('TOTP_REQUIRED', 'This account has a second factor: send its code as totpCode.')
  const secret = deps.secrets.openTotpSecret(account.id, account.totp_sealed)
  return acceptedStep(secret, code, deps.clock.now(), Number(account.totp_last_step)) ?? 'refused'
}

/** Null where the code was used, or the password changed, by somebody else in the meantime. */
async function beginSession(
  deps: SignInDeps,
  input: SignInInput,
  buckets: AttemptBuckets,
  account: AccountCredentials,
  step: number | null,
): Promise<{ user: Account; token: string; expiresAt: Date } | null> {
  const createdAt = deps.clock.now()
  const expiresAt = new Date(createdAt.getTime() + SESSION_AGE_MS_MAX)
  const token = newToken()
  const presented = input.presentedToken === null ? null : tokenHash(input.presentedToken)
  return changeControl(deps, async ({ tx, log }) => {
    if (!(await holdPassword(tx, account.id, account.password_hash))) return null
    if (step !== null && !(await claimTotpStep(tx, account.id, step))) return null
    if (presented !== null) await deleteSessionByToken(tx, presented)
    const id = newUuid(createdAt.getTime())
    await insertSession(tx, { id, userId: account.id, tokenHash: tokenHash(token)!, createdAt, expiresAt })
    await forgiveAttempt(tx, buckets)
    for (const entry of sessionEntries(account, 'session.signed_in', { secondFactor: step !== null })) log(entry)
    const { email, name, created_at } = account
    return { user: { id: account.id, email, name, createdAt: created_at }, token, expiresAt }
  })
}

/** What an account did with its sessions, for the log of each of its companies; of staff and the homeless, of none. */
export function sessionEntries(
  account: { readonly id: string; readonly staff_role: string | null; readonly company_ids: readonly string[] },
  action: string,
  payload: NonNullable<AdminEntry['payload']> = {},
): AdminEntry[] {
  const companyIds = account.staff_role === null && account.company_ids.length > 0 ? account.company_ids : [null]
  return companyIds.map((companyId) => ({
    companyId,
    actor: { kind: 'user', userId: account.id },
    action,
    category: 'session',
    target: { type: 'user', id: encodeId('user', account.id) },
    payload,
  }))
}
