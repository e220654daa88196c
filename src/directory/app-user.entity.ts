import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

export const staffRoles = ['SUPER_ADMIN', 'PRIVACY_ADMIN', 'SUPPORT_ADMIN', 'BILLING_ADMIN'] as const
export type StaffRole = (typeof staffRoles)[number]
export type CompanyRole = 'OWNER' | 'ADMIN' | 'MEMBER' | 'VIEWER'

export const AppUser = defineEntity({
  name: 'AppUser',
  tableName: 'app_user',
  properties: {
    id: p.uuid().primary(),
    email: p.text().unique(),
    name: p.text().strictNullable(),
    passwordHash: p.text().hidden(),
    staffRole: p.text().$type<StaffRole>().strictNullable(),
    createdAt: p.datetime(3),
  },
})
export type AppUserRow = InferEntity<typeof AppUser>

export const CompanyMember = defineEntity({
  name: 'CompanyMember',
  tableName: 'company_member',
  properties: {
    companyId: p.uuid().primary(),
    userId: p.uuid().primary(),
    role: p.text().$type<CompanyRole>(),
    createdAt: p.datetime(3),
  },
})
