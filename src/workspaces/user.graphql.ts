import { Field, ID, ObjectType, registerEnumType } from 'type-graphql'
import type { Account } from '../auth/viewer.js'
import type { CompanyRole } from '../directory/app-user.entity.js'
import { NodeType } from '../graphql/node.graphql.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'

export const CompanyRoleEnum = { OWNER: 'OWNER', ADMIN: 'ADMIN', MEMBER: 'MEMBER', VIEWER: 'VIEWER' } as const
registerEnumType(CompanyRoleEnum, {
  name: 'CompanyRole',
  description: 'What somebody may do in a company.',
  valuesConfig: {
    OWNER: { description: 'Everything, and making other owners. A company always has one.' },
    ADMIN: { description: 'Everything but what concerns owners.' },
    MEMBER: { description: 'Reads the workspaces it was let into, and makes projects there.' },
    VIEWER: { description: 'Reads the workspaces it was let into.' },
  },
})

export const StaffRoleEnum = {
  SUPER_ADMIN: 'SUPER_ADMIN',
  PRIVACY_ADMIN: 'PRIVACY_ADMIN',
  SUPPORT_ADMIN: 'SUPPORT_ADMIN',
  BILLING_ADMIN: 'BILLING_ADMIN',
} as const
registerEnumType(StaffRoleEnum, {
  name: 'StaffRole',
  description: 'What one of the staff of the service may do. Whatever staff read of a company is in the admin log.',
  valuesConfig: {
    SUPER_ADMIN: { description: 'Makes companies and invites their owners; reads everything; runs the service.' },
    PRIVACY_ADMIN: { description: 'Decides on requests of data subjects; reads everything.' },
    SUPPORT_ADMIN: { description: 'Reads what customers ask about, and revokes keys that leaked.' },
    BILLING_ADMIN: { description: 'Reads companies and their workspaces, no events.' },
  },
})

@ObjectType('User', { implements: NodeType, description: 'An account of the dashboard.' })
export class UserType implements NodeType {
  constructor(readonly record: Account) {}

  @Field(() => ID, { description: 'The global id, usr_….' })
  get id(): string {
    return encodeId('user', this.record.id)
  }

  @Field(() => String, { description: 'The e-mail address it signs in with.' })
  get email(): string {
    return this.record.email
  }

  @Field(() => String, { nullable: true, description: 'What it is called.' })
  get name(): string | null {
    return this.record.name
  }

  @Field(() => DateTimeScalar, { description: 'When it was created.' })
  get createdAt(): Date {
    return this.record.createdAt
  }
}

@ObjectType('Membership', { description: 'That somebody is of a company.' })
export class MembershipType {
  constructor(
    readonly companyId: string,
    role: CompanyRole,
  ) {
    this.role = role
  }

  @Field(() => CompanyRoleEnum, { description: 'As what.' })
  readonly role: CompanyRole
}
