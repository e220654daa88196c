import type { CompanyRole, StaffRole } from '../directory/app-user.entity.js'
import type { Database } from '../db/database.js'
import type { Transaction } from '../db/pooled-transaction.js'
import { SESSION_IDLE_MS, SESSION_RENEWAL_GRACE_MS, SESSIONS_PER_USER_MAX } from './session-token.js'

const TIMEOUT_MS = 2_000

/** A session with everything that decides what its owner may do, as of now. */
export interface SessionRow {
  readonly id: string
  readonly user_id: string
  readonly created_at: Date
  readonly last_seen_at: Date
  readonly expires_at: Date
  readonly renew_due: boolean
  readonly email: string
  readonly name: string | null
  readonly staff_role: StaffRole | null
  readonly user_created_at: Date
  readonly totp_enrolled: boolean
  readonly memberships: readonly {
    readonly companyId: string
    readonly role: CompanyRole
    readonly workspaceIds: readonly string[]
  }[]
}

/** The living session of this token hash, or null. One prepared statement. Throws DatabaseError. */
export async function findSession(control: Database, hash: Buffer, now: Date): Promise<SessionRow | null> {
  const rows = await control.query<SessionRow>(
    `select s.id, s.user_id, s.created_at, s.last_seen_at, s.expires_at, s.renew_due and s.token_hash = $1 as renew_due,
       u.email, u.name, u.staff_role, u.created_at as user_created_at,
       exists (select from totp_secret t where t.user_id = u.id and t.confirmed_at is not null) as totp_enrolled,
       coalesce((
         select json_agg(json_build_object('companyId', m.company_id, 'role', m.role, 'workspaceIds', coalesce((
           select json_agg(w.workspace_id) from workspace_member w
           where w.company_id = m.company_id and w.user_id = m.user_id), '[]'::json)) order by m.company_id)
         from company_member m where m.user_id = u.id), '[]'::json) as memberships
     from session s join app_user u on u.id = s.user_id
     where (s.token_hash = $1 or (s.previous_token_hash = $1 and s.previous_until > $2::timestamptz))
       and s.expires_at > $2::timestamptz and s.last_seen_at > $3::timestamptz`,
    [hash, now, new Date(now.getTime() - SESSION_IDLE_MS)],
    { name: 'session_find', timeoutMs: TIMEOUT_MS },
  )
  return rows[0] ?? null
}

/** Notes that a session is in use. */
export async function touchSession(control: Database, id: string, now: Date): Promise<void> {
  await control.query(
    'update session set last_seen_at = $2 where id = $1 and last_seen_at < $2::timestamptz',
    [id, now],
    { name: 'session_touch', timeoutMs: TIMEOUT_MS },
  )
}

/**
 * Gives a session that is due for it the id of another token. False where another request did already: the id it had
 * still counts for a moment.
 */
export async function renewSession(
  control: Database,
  id: string,
  hashes: { readonly from: Buffer; readonly to: Buffer },
  now: Date,
): Promise<boolean> {
  const rows = await control.query(
    `update session set token_hash = $3, previous_token_hash = $2, previous_until = $4, renew_due = false
     where id = $1 and token_hash = $2 and renew_due returning id`,
    [id, hashes.from, hashes.to, new Date(now.getTime() + SESSION_RENEWAL_GRACE_MS)],
    { name: 'session_renew', timeoutMs: TIMEOUT_MS },
  )
  return rows.length > 0
}

/** Begins a session; those of the account that are over end for good, and its oldest where there are too many. */
export async function insertSession(
  tx: Transaction,
  session: {
    readonly id: string
    readonly userId: string
    readonly tokenHash: Buffer
    readonly createdAt: Date
    readonly expiresAt: Date
  },
): Promise<void> {
  const { id, userId, createdAt } = session
  await tx.query(
    `delete from session where user_id = $1 and (expires_at <= $2::timestamptz or last_seen_at <= $3::timestamptz
       or id in (select id from session where user_id = $1 order by created_at desc, id desc offset $4))`,
    [userId, createdAt, new Date(createdAt.getTime() - SESSION_IDLE_MS), SESSIONS_PER_USER_MAX - 1],
  )
  await tx.query(
    `insert into session (id, user_id, token_hash, created_at, last_seen_at, expires_at) values ($1, $2, $3, $4, $4, $5)`,
    [id, userId, session.tokenHash, createdAt, session.expiresAt],
  )
}

/** Ends the session of this token, whoever's it is. */
export async function deleteSessionByToken(tx: Transaction, hash: Buffer): Promise<void> {
  await tx.query('delete from session where token_hash = $1 or previous_token_hash = $1', [hash])
}

export async function deleteSession(tx: Transaction, id: string): Promise<void> {
  await tx.query('delete from session where id = $1', [id])
}

/** Ends every session of an account; answers how many there were. */
export async function deleteSessionsOf(tx: Transaction, userId: string): Promise<number> {
  const rows = await tx.query('delete from session where user_id = $1 returning id', [userId])
  return rows.length
}

/** Ends the sessions of an account but for one; answers how many there were. */
export async function deleteOtherSessionsOf(tx: Transaction, userId: string, keptId: string): Promise<number> {
  const rows = await tx.query('delete from session where user_id = $1 and id <> $2 returning id', [userId, keptId])
  return rows.length
}

/** The sessions of these accounts get new ids with their next requests: what their owners may do has changed. */
export async function markForRenewal(tx: Transaction, userIds: readonly string[]): Promise<void> {
  await tx.query('update session set renew_due = true where user_id = any ($1::uuid[])', [userIds])
}

/** Deletes what can't be used any more: sessions and counters of attempts. */
export async function deleteExpiredSessions(control: Database, now: Date): Promise<number> {
  const idle = new Date(now.getTime() - SESSION_IDLE_MS)
  const sessions = await control.query(
    'delete from session where expires_at <= $1::timestamptz or last_seen_at <= $2::timestamptz returning id',
    [now, idle],
  )
  await control.query('delete from sign_in_attempt where window_ends_at <= $1::timestamptz', [now])
  return sessions.length
}
