import { badInput, DomainError } from '../kernel/domain-error.js'
import type { Database } from '../db/database.js'
import { type AccountCredentials, findCredentialsById } from './account.store.js'
import { decoyHash, verifyPassword } from './password.js'

export const PASSWORD_CHARACTERS_MIN = 12
export const PASSWORD_BYTES_MAX = 1_024

/** A password for an account. BAD_USER_INPUT where it is too short to resist guessing, or absurdly long. */
export function validNewPassword(password: string, field: string): string {
  if ([...password].length < PASSWORD_CHARACTERS_MIN)
    throw badInput(field, `must be at least ${PASSWORD_CHARACTERS_MIN} characters long.`)
  return refuseLongPassword(password, field)
}

/** BAD_USER_INPUT for what is no password of anybody's, and would take long to hash. */
export function refuseLongPassword(password: string, field: string): string {
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX)
    throw badInput(field, `must be at most ${PASSWORD_BYTES_MAX} bytes long.`)
  return password
}

/**
 * The account, of which the caller knows the password: a session alone may be somebody else's by now. UNAUTHENTICATED,
 * BAD_USER_INPUT; throws DatabaseError. Count the attempt first.
 */
export async function requirePassword(
  control: Database,
  userId: string,
  password: string,
  field: string,
): Promise<AccountCredentials> {
  refuseLongPassword(password, field)
  const account = await findCredentialsById(control, userId)
  const matches = await verifyPassword(account?.password_hash ?? decoyHash, password)
  if (account === null || !matches) throw new DomainError('UNAUTHENTICATED', 'The password is wrong.')
  return account
}
