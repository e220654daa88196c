import type { CompanyRole, StaffRole } from '../directory/app-user.entity.js'
import type { Database } from '../db/database.js'
import type { Transaction } from '../db/pooled-transaction.js'

const TIMEOUT_MS = 5_000

/** An invitation as it is shown to who invites. */
export interface InvitationRecord {
  readonly id: string
  readonly companyId: string
  readonly email: string
  readonly role: CompanyRole
  readonly workspaceIds: readonly string[]
  readonly createdAt: Date
  readonly expiresAt: Date
}

/** Stores an invitation; one of the same address that is open ends. */
export async function putInvitation(
  tx: Transaction,
  invitation: InvitationRecord & { readonly tokenHash: Buffer; readonly invitedBy: string },
): Promise<void> {
  await tx.query(
    `insert into invitation (id, company_id, email, role, workspace_ids, token_hash, invited_by, created_at, expires_at)
     values ($1, $2, $3, $4, $5::uuid[], $6, $7, $8, $9)
     on conflict (company_id, email) where accepted_at is null do update set id = excluded.id, role = excluded.role,
       workspace_ids = excluded.workspace_ids, token_hash = excluded.token_hash, invited_by = excluded.invited_by,
       created_at = excluded.created_at, expires_at = excluded.expires_at, revoked_at = null`,
    [
      invitation.id,
      invitation.companyId,
      invitation.email,
      invitation.role,
      invitation.workspaceIds,
      invitation.tokenHash,
      invitation.invitedBy,
      invitation.createdAt,
      invitation.expiresAt,
    ],
  )
}

export interface OpenInvitation {
  readonly id: string
  readonly company_id: string
  readonly email: string
  readonly role: CompanyRole
  readonly workspace_ids: readonly string[]
}

/** The invitation of a token, locked, while it is good: not accepted, not taken back, not expired. */
export async function lockInvitation(tx: Transaction, tokenHash: Buffer, now: Date): Promise<OpenInvitation | null> {
  const rows = await tx.query<OpenInvitation>(
    `select id, company_id, email, role, workspace_ids::text[] as workspace_ids from invitation
     where token_hash = $1 and accepted_at is null and revoked_at is null and expires_at > $2::timestamptz for update`,
    [tokenHash, now],
  )
  return rows[0] ?? null
}

export async function closeInvitation(tx: Transaction, id: string, userId: string, now: Date): Promise<void> {
  await tx.query('update invitation set accepted_at = $3, accepted_by = $2 where id = $1', [id, userId, now])
}

/** The invitations of a company that can still be accepted, newest first. Throws DatabaseError. */
export async function readInvitations(control: Database, companyId: string, now: Date): Promise<InvitationRecord[]> {
  const rows = await control.query<OpenInvitation & { created_at: Date; expires_at: Date }>(
    `select id, company_id, email, role, workspace_ids::text[] as workspace_ids, created_at, expires_at from invitation
     where company_id = $1 and accepted_at is null and revoked_at is null and expires_at > $2::timestamptz
     order by created_at desc, id desc`,
    [companyId, now],
    { timeoutMs: TIMEOUT_MS },
  )
  return rows.map((row) => ({
    id: row.id,
    companyId: row.company_id,
    email: row.email,
    role: row.role,
    workspaceIds: row.workspace_ids,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }))
}

/** The company an invitation is of, or null. Throws DatabaseError. */
export async function findInvitationCompany(control: Database, id: string): Promise<string | null> {
  const [row] = await control.query<{ company_id: string }>('select company_id from invitation where id = $1', [id], {
    timeoutMs: TIMEOUT_MS,
  })
  return row?.company_id ?? null
}

/** Takes an invitation back; answers the role it was for, null where it can't be accepted any more. */
export async function revokeOpenInvitation(tx: Transaction, id: string, now: Date): Promise<CompanyRole | null> {
  const [row] = await tx.query<{ role: CompanyRole }>(
    `update invitation set revoked_at = $2
     where id = $1 and accepted_at is null and revoked_at is null and expires_at > $2::timestamptz returning role`,
    [id, now],
  )
  return row?.role ?? null
}

/** The account of an address, if there is one. */
export async function findInvited(
  tx: Transaction,
  email: string,
): Promise<{ readonly id: string; readonly staff_role: StaffRole | null } | null> {
  const rows = await tx.query<{ id: string; staff_role: StaffRole | null }>(
    'select id, staff_role from app_user where email = $1',
    [email],
  )
  return rows[0] ?? null
}
