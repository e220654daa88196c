import { Field, ID, InputType, ObjectType } from 'type-graphql'
import type { CompanyRole } from '../directory/app-user.entity.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'
import { CompanyRoleEnum, UserType } from '../workspaces/user.graphql.js'
import type { InvitationRecord } from './invitation.store.js'
import type { MemberRecord } from './member.store.js'

const workspacesDescription =
  'The workspaces that a MEMBER or VIEWER sees; left out for an OWNER or ADMIN, who see all.'

@ObjectType('Member', { description: 'Somebody of a company.' })
export class MemberType {
  constructor(readonly record: MemberRecord) {}

  @Field(() => UserType, { description: 'The account.' })
  get user(): UserType {
    return new UserType(this.record.user)
  }

  @Field(() => CompanyRoleEnum, { description: 'What it may do in the company.' })
  get role(): CompanyRole {
    return this.record.role
  }

  @Field(() => DateTimeScalar, { description: 'Since when it is of the company.' })
  get createdAt(): Date {
    return this.record.createdAt
  }
}

@ObjectType('Invitation', { description: 'That somebody may become a member of a company.' })
export class InvitationType {
  constructor(readonly record: InvitationRecord) {}

  @Field(() => ID, { description: 'The global id, inv_….' })
  get id(): string {
    return encodeId('invitation', this.record.id)
  }

  @Field(() => String, { description: 'The address of the account that may accept it.' })
  get email(): string {
    return this.record.email
  }

  @Field(() => CompanyRoleEnum, { description: 'What it will be allowed.' })
  get role(): CompanyRole {
    return this.record.role
  }

  @Field(() => DateTimeScalar, { description: 'When somebody was invited.' })
  get createdAt(): Date {
    return this.record.createdAt
  }

  @Field(() => DateTimeScalar, { description: 'From when on it is worth nothing.' })
  get expiresAt(): Date {
    return this.record.expiresAt
  }
}

@InputType('InviteMemberInput', { description: 'Whom to invite, and as what.' })
export class InviteMemberInputType {
  @Field(() => ID, { description: 'The company.' })
  companyId!: string

  @Field(() => String, { description: 'The e-mail address of the account, which may not exist yet.' })
  email!: string

  @Field(() => CompanyRoleEnum, { description: 'What it will be allowed. Only an OWNER, or staff, invites an OWNER.' })
  role!: CompanyRole

  @Field(() => [ID], { nullable: true, description: workspacesDescription })
  workspaceIds?: string[] | null
}

@ObjectType('InviteMemberPayload', { simpleResolvers: true, description: 'An invitation, and what accepts it.' })
export class InviteMemberPayloadType {
  @Field(() => InvitationType, { description: 'The invitation.' })
  invitation!: InvitationType

  @Field(() => String, {
    description:
      'What accepts it, once, within 7 days. Nothing is mailed: pass it on. It is in this answer and nowhere else.',
  })
  token!: string
}

@InputType('RevokeInvitationInput', { description: 'The invitation to take back.' })
export class RevokeInvitationInputType {
  @Field(() => ID, { description: 'The invitation, which nobody has accepted.' })
  invitationId!: string
}

@ObjectType('RevokeInvitationPayload', { simpleResolvers: true, description: 'That an invitation is worth nothing.' })
export class RevokeInvitationPayloadType {
  @Field(() => ID, { description: 'The invitation.' })
  invitationId!: string
}

@InputType('AcceptInvitationInput', { description: 'An invitation, and of somebody new the account to be.' })
export class AcceptInvitationInputType {
  @Field(() => String, { description: 'The token of the invitation.' })
  token!: string

  @Field(() => String, { nullable: true, description: 'Of somebody new: what it is called.' })
  name?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'Of somebody new: the password of its account, at least 12 characters.',
  })
  password?: string | null
}

@ObjectType('MemberPayload', { simpleResolvers: true, description: 'A member as it is now.' })
export class MemberPayloadType {
  @Field(() => MemberType, { description: 'The member.' })
  member!: MemberType
}

@InputType('ChangeMemberRoleInput', { description: 'What somebody is to be from now on.' })
export class ChangeMemberRoleInputType {
  @Field(() => ID, { description: 'The company.' })
  companyId!: string

  @Field(() => ID, { description: 'The account.' })
  userId!: string

  @Field(() => CompanyRoleEnum, { description: 'The role. Only an OWNER makes or changes an OWNER.' })
  role!: CompanyRole

  @Field(() => [ID], { nullable: true, description: `${workspacesDescription} Null: as before.` })
  workspaceIds?: string[] | null
}

@InputType('RemoveMemberInput', { description: 'Whose membership is to end.' })
export class RemoveMemberInputType {
  @Field(() => ID, { description: 'The company.' })
  companyId!: string

  @Field(() => ID, { description: 'The account.' })
  userId!: string
}

@ObjectType('RemoveMemberPayload', { simpleResolvers: true, description: 'That a membership ended.' })
export class RemoveMemberPayloadType {
  @Field(() => ID, { description: 'The account, which stays.' })
  userId!: string
}

@InputType('TransferOwnershipInput', { description: 'Who becomes OWNER in the place of the caller.' })
export class TransferOwnershipInputType {
  @Field(() => ID, { description: 'The company.' })
  companyId!: string

  @Field(() => ID, { description: 'The account; a member already.' })
  userId!: string
}
