import type { KeyObject } from 'node:crypto'
import { changeControl } from '../admin-log/change-control.js'
import type { Database } from '../db/database.js'
import { orControlUnavailable } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import { badInput, DomainError } from '../kernel/domain-error.js'
import { randomBytes } from '../kernel/random.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import { confirmTotpSecret, lockTotpSecret, putTotpSecret } from './account.store.js'
import { requirePassword } from './password-rules.js'
import { admitSession } from './permissions.js'
import { markForRenewal } from './session.store.js'
import { attemptBuckets, countAttempt, forgiveAttempt } from './sign-in-limits.js'
import { sessionEntries } from './sign-in.js'
import { accountOf } from './sign-out.js'
import { acceptedStep, base32Text, TOTP_SECRET_BYTES, totpUri } from './totp.js'
import type { SessionViewer, Viewer } from './viewer.js'

export interface EnrollTotpDeps {
  readonly control: Database
  readonly clock: Clock
  readonly secrets: ControlSecrets
  readonly attemptKey: KeyObject
}

export interface EnrollTotpInput {
  /** First step: the account's password. */
  readonly password: string | null
  /** Second step: a code of the secret that the first step gave. */
  readonly code: string | null
  readonly clientIp: string | null
}

/** The first step gives a secret, the second says that it counts. */
export type TotpEnrollment =
  | { readonly enrolled: false; readonly secret: string; readonly uri: string }
  | { readonly enrolled: true; readonly secret: null; readonly uri: null }

/**
 * Enrolls a second factor in two steps: with the password it answers a fresh secret, shown once; with a code made from
 * it, the factor is on and every sign-in needs one. A hijacked session can't do it without the password. UNAUTHENTICATED
 * (password), BAD_USER_INPUT (code), CONFLICT (enrolled already, or nothing to confirm), RATE_LIMITED, FORBIDDEN.
 */
export async function enrollTotp(
  deps: EnrollTotpDeps,
  viewer: Viewer,
  input: EnrollTotpInput,
): Promise<TotpEnrollment> {
  const session = admitSession(viewer, 'enrollTotp')
  if ((input.code === null) === (input.password === null))
    throw badInput('input', 'give the password to begin, or the code to confirm.')
  const now = deps.clock.now()
  const buckets = attemptBuckets(deps.attemptKey, session.user.email, input.clientIp)
  return orControlUnavailable(async () => {
    await countAttempt(deps.control, buckets, now)
    const enrollment =
      input.code === null
        ? await begin(deps, session, input.password ?? '', now)
        : await confirm(deps, session, input.code, now)
    await deps.control.transaction({ timeoutMs: FORGIVE_TIMEOUT_MS }, (tx) => forgiveAttempt(tx, buckets))
    return enrollment
  })
}

const FORGIVE_TIMEOUT_MS = 2_000

async function begin(
  deps: EnrollTotpDeps,
  session: SessionViewer,
  password: string,
  now: Date,
): Promise<TotpEnrollment> {
  await requirePassword(deps.control, session.user.id, password, 'input.password')
  const secret = randomBytes(TOTP_SECRET_BYTES)
  const sealed = deps.secrets.sealTotpSecret(session.user.id, secret)
  await changeControl(deps, async ({ tx }) => {
    if (!(await putTotpSecret(tx, session.user.id, sealed, now)))
      throw new DomainError('CONFLICT', 'This account has a second factor already.')
  })
  return { enrolled: false, secret: base32Text(secret), uri: totpUri(secret, session.user.email) }
}

async function confirm(deps: EnrollTotpDeps, session: SessionViewer, code: string, now: Date): Promise<TotpEnrollment> {
  const userId = session.user.id
  await changeControl(deps, async ({ tx, log }) => {
    const waiting = await lockTotpSecret(tx, userId)
    if (waiting === null || waiting.confirmed)
      throw new DomainError('CONFLICT', 'There is no second factor to confirm: begin with the password.')
    const step = acceptedStep(deps.secrets.openTotpSecret(userId, waiting.sealed), code, now, 0)
    if (step === null) throw badInput('input.code', 'is not the code that the secret gives now.')
    await confirmTotpSecret(tx, userId, step, now)
    await markForRenewal(tx, [userId])
    for (const entry of sessionEntries(accountOf(session), 'session.totp_enrolled')) log(entry)
  })
  return { enrolled: true, secret: null, uri: null }
}
