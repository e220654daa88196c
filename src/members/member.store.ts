import type { CompanyRole } from '../directory/app-user.entity.js'
import type { Database } from '../db/database.js'
import type { Transaction } from '../db/pooled-transaction.js'

const TIMEOUT_MS = 5_000

/** Somebody of a company, as lists show it. */
export interface MemberRecord {
  readonly companyId: string
  readonly user: { readonly id: string; readonly email: string; readonly name: string | null; readonly createdAt: Date }
  readonly role: CompanyRole
  /** Null: all of the company's. */
  readonly workspaceIds: readonly string[] | null
  readonly createdAt: Date
}

interface MemberRow {
  readonly company_id: string
  readonly user_id: string
  readonly role: CompanyRole
  readonly created_at: Date
  readonly email: string
  readonly name: string | null
  readonly user_created_at: Date
  readonly workspace_ids: readonly string[]
}

/** The people of a company, or one of them, in the order in which they came. Throws DatabaseError. */
export async function readMembers(
  control: Database,
  companyId: string,
  userId: string | null,
): Promise<MemberRecord[]> {
  const rows = await control.query<MemberRow>(
    `select m.company_id, m.user_id, m.role, m.created_at, u.email, u.name, u.created_at as user_created_at,
       array(select w.workspace_id::text from workspace_member w
             where w.company_id = m.company_id and w.user_id = m.user_id order by w.workspace_id) as workspace_ids
     from company_member m join app_user u on u.id = m.user_id
     where m.company_id = $1 and ($2::uuid is null or m.user_id = $2) order by m.created_at, m.user_id`,
    [companyId, userId],
    { timeoutMs: TIMEOUT_MS },
  )
  return rows.map((row) => ({
    companyId: row.company_id,
    user: { id: row.user_id, email: row.email, name: row.name, createdAt: row.user_created_at },
    role: row.role,
    workspaceIds: seesAll(row.role) ? null : row.workspace_ids,
    createdAt: row.created_at,
  }))
}

export const seesAll = (role: CompanyRole): boolean => role === 'OWNER' || role === 'ADMIN'

/**
 * The roles in a company, locked: until the transaction ends, nobody else changes who is of it. Everything that is
 * decided by roles is decided by these, not by what the caller had when the request came.
 */
export async function lockRoles(tx: Transaction, companyId: string): Promise<Map<string, CompanyRole>> {
  await tx.query('select id from company where id = $1 for no key update', [companyId])
  const rows = await tx.query<{ user_id: string; role: CompanyRole }>(
    'select user_id, role from company_member where company_id = $1',
    [companyId],
  )
  return new Map(rows.map((row) => [row.user_id, row.role]))
}

/** Makes somebody a member, or changes the role of one who is. */
export async function putRole(
  tx: Transaction,
  member: { readonly companyId: string; readonly userId: string; readonly role: CompanyRole; readonly now: Date },
): Promise<void> {
  await tx.query(
    `insert into company_member (company_id, user_id, role, created_at) values ($1, $2, $3, $4)
     on conflict (company_id, user_id) do update set role = excluded.role`,
    [member.companyId, member.userId, member.role, member.now],
  )
}

/** Sets which workspaces a member sees, in the place of those before. False where one is not the company's. */
export async function putWorkspaces(
  tx: Transaction,
  member: {
    readonly companyId: string
    readonly userId: string
    readonly workspaceIds: readonly string[]
    readonly now: Date
  },
): Promise<boolean> {
  const { companyId, userId, workspaceIds } = member
  await tx.query('delete from workspace_member where company_id = $1 and user_id = $2', [companyId, userId])
  const rows = await tx.query(
    `insert into workspace_member (company_id, workspace_id, user_id, created_at)
     select w.company_id, w.id, $2, $4 from workspace w where w.company_id = $1 and w.id = any ($3::uuid[]) returning workspace_id`,
    [companyId, userId, workspaceIds, member.now],
  )
  return rows.length === workspaceIds.length
}

/** Which of these are workspaces of the company. */
export async function countOwnWorkspaces(tx: Transaction, companyId: string, ids: readonly string[]): Promise<number> {
  const rows = await tx.query('select id from workspace where company_id = $1 and id = any ($2::uuid[])', [
    companyId,
    ids,
  ])
  return rows.length
}

/** Ends a membership, with what it gave. */
export async function deleteMember(tx: Transaction, companyId: string, userId: string): Promise<void> {
  await tx.query('delete from company_member where company_id = $1 and user_id = $2', [companyId, userId])
}
