import type { StaffRole } from '../directory/app-user.entity.js'
import type { Database } from '../db/database.js'
import type { Transaction } from '../db/pooled-transaction.js'

const TIMEOUT_MS = 2_000

/** An account with what it takes to let its owner in. */
export interface AccountCredentials {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly password_hash: string
  readonly staff_role: StaffRole | null
  readonly created_at: Date
  /** Null where no second factor is enrolled and confirmed. */
  readonly totp_sealed: Buffer | null
  readonly totp_last_step: string | null
  readonly company_ids: readonly string[]
}

const credentialsSql = `select u.id, u.email, u.name, u.password_hash, u.staff_role, u.created_at,
    t.secret_sealed as totp_sealed, t.last_step as totp_last_step,
    array(select m.company_id::text from company_member m where m.user_id = u.id order by 1) as company_ids
  from app_user u left join totp_secret t on t.user_id = u.id and t.confirmed_at is not null`

/** The account of an e-mail address (lower-case), or null. Throws DatabaseError. */
export async function findCredentials(control: Database, email: string): Promise<AccountCredentials | null> {
  const rows = await control.query<AccountCredentials>(`${credentialsSql} where u.email = $1`, [email], {
    name: 'account_by_email',
    timeoutMs: TIMEOUT_MS,
  })
  return rows[0] ?? null
}

/** The account of an id. Throws DatabaseError. */
export async function findCredentialsById(control: Database, id: string): Promise<AccountCredentials | null> {
  const rows = await control.query<AccountCredentials>(`${credentialsSql} where u.id = $1`, [id], {
    name: 'account_by_id',
    timeoutMs: TIMEOUT_MS,
  })
  return rows[0] ?? null
}

/** Takes a code's time step for used. False where it, or a later one, was taken before. */
export async function claimTotpStep(tx: Transaction, userId: string, step: number): Promise<boolean> {
  const rows = await tx.query(
    'update totp_secret set last_step = $2 where user_id = $1 and last_step < $2 returning user_id',
    [userId, step],
  )
  return rows.length > 0
}

/** Keeps a secret whose first code has not been shown yet, instead of one before it. False where one is confirmed. */
export async function putTotpSecret(tx: Transaction, userId: string, sealed: Buffer, now: Date): Promise<boolean> {
  const rows = await tx.query(
    `insert into totp_secret as t (user_id, secret_sealed, created_at) values ($1, $2, $3)
     on conflict (user_id) do update set secret_sealed = excluded.secret_sealed, created_at = excluded.created_at,
       last_step = 0 where t.confirmed_at is null
     returning user_id`,
    [userId, sealed, now],
  )
  return rows.length > 0
}

/** An account's second factor, also one that waits for its first code, locked; null where there is none. */
export async function lockTotpSecret(
  tx: Transaction,
  userId: string,
): Promise<{ readonly sealed: Buffer; readonly confirmed: boolean; readonly lastStep: number } | null> {
  const [row] = await tx.query<{ secret_sealed: Buffer; confirmed: boolean; last_step: string }>(
    `select secret_sealed, confirmed_at is not null as confirmed, last_step from totp_secret
     where user_id = $1 for update`,
    [userId],
  )
  return row === undefined
    ? null
    : { sealed: row.secret_sealed, confirmed: row.confirmed, lastStep: Number(row.last_step) }
}

/** Takes an account's second factor away. False where it has none that is confirmed. */
export async function deleteTotpSecret(tx: Transaction, userId: string): Promise<boolean> {
  const rows = await tx.query<{ confirmed: boolean }>(
    'delete from totp_secret where user_id = $1 returning confirmed_at is not null as confirmed',
    [userId],
  )
  return rows[0]?.confirmed === true
}

/** Whether the account has this password hash; it keeps it until the transaction ends. */
export async function holdPassword(tx: Transaction, userId: string, passwordHash: string): Promise<boolean> {
  const rows = await tx.query('select id from app_user where id = $1 and password_hash = $2 for share', [
    userId,
    passwordHash,
  ])
  return rows.length > 0
}

/** Puts another password hash in the place of the one that was seen. False where that was changed since. */
export async function putPasswordHash(
  tx: Transaction,
  userId: string,
  hashes: { readonly from: string; readonly to: string },
): Promise<boolean> {
  const rows = await tx.query(
    'update app_user set password_hash = $3 where id = $1 and password_hash = $2 returning id',
    [userId, hashes.from, hashes.to],
  )
  return rows.length > 0
}

export async function confirmTotpSecret(tx: Transaction, userId: string, step: number, now: Date): Promise<void> {
  await tx.query('update totp_secret set confirmed_at = $3, last_step = $2 where user_id = $1', [userId, step, now])
}
