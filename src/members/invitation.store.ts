import type { CompanyRole, StaffRole } from '../directory/app-user.entity.js'
import type { Transaction } from '../db/pooled-transaction.js'

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
       created_at = excluded.created_at, expires_at = excluded.expires_at`,
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

/** The invitation of a token, locked, while it is good: not accepted, not expired. */
export async function lockInvitation(tx: Transaction, tokenHash: Buffer, now: Date): Promise<OpenInvitation | null> {
  const rows = await tx.query<OpenInvitation>(
    `select id, company_id, email, role, workspace_ids::text[] as workspace_ids from invitation
     where token_hash = $1 and accepted_at is null and expires_at > $2::timestamptz for update`,
    [tokenHash, now],
  )
  return rows[0] ?? null
}

export async function closeInvitation(tx: Transaction, id: string, userId: string, now: Date): Promise<void> {
  await tx.query('update invitation set accepted_at = $3, accepted_by = $2 where id = $1', [id, userId, now])
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
