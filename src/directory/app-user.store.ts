import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { AppUser, CompanyMember, type AppUserRow, type CompanyRole } from './app-user.entity.js'

export const findUserByEmail = (em: SqlEntityManager, email: string): Promise<AppUserRow | null> =>
  em.findOne(AppUser, { email: email.toLowerCase() })

/** Fails with a unique violation where the address has an account. */
export async function insertUser(em: SqlEntityManager, user: AppUserRow): Promise<void> {
  await em.insert(AppUser, user)
}

export async function setPasswordHash(em: SqlEntityManager, id: string, passwordHash: string): Promise<void> {
  await em.nativeUpdate(AppUser, { id }, { passwordHash })
}

/** Lets a MEMBER or VIEWER of the company into one of its workspaces. Again changes nothing. */
export async function putWorkspaceMember(
  em: SqlEntityManager,
  member: {
    readonly companyId: string
    readonly workspaceId: string
    readonly userId: string
    readonly createdAt: Date
  },
): Promise<void> {
  await em.execute(
    'insert into workspace_member (company_id, workspace_id, user_id, created_at) values (?, ?, ?, ?) on conflict do nothing',
    [member.companyId, member.workspaceId, member.userId, member.createdAt],
  )
}

/** Makes the user a member of the company, or changes the role of one who is. */
export async function putMember(
  em: SqlEntityManager,
  member: { readonly companyId: string; readonly userId: string; readonly role: CompanyRole; readonly createdAt: Date },
): Promise<void> {
  await em.upsert(CompanyMember, member, {
    onConflictFields: ['companyId', 'userId'],
    onConflictMergeFields: ['role'],
  })
}
