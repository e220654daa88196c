import { Field, ID, InputType, Int, ObjectType } from 'type-graphql'
import { RegionEnum } from '../graphql/region.graphql.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import type { Region } from '../kernel/region.js'
import { ApiKeyScopeEnum, ApiKeyType } from './api-key.graphql.js'
import { CompanyType } from './company.graphql.js'
import { ProjectType } from './project.graphql.js'
import { WorkspaceType } from './workspace.graphql.js'

const slugDescription = 'The short name in addresses: a-z, 0-9 and -. Made from the name where it is left out.'

@InputType('CreateCompanyInput', { description: 'A company to be.' })
export class CreateCompanyInputType {
  @Field(() => String, { description: 'The name people read.' })
  name!: string

  @Field(() => String, { nullable: true, description: slugDescription })
  slug?: string | null

  @Field(() => RegionEnum, { nullable: true, description: 'The primary region; AU where it is left out.' })
  dataRegion?: Region | null

  @Field(() => [RegionEnum], { nullable: true, description: 'Regions that keep a replica; none where it is left out.' })
  replicateTo?: Region[] | null

  @Field(() => Int, { nullable: true, description: 'Days for which events are kept; 365 where it is left out.' })
  retentionDays?: number | null
}

@ObjectType('CreateCompanyPayload', { simpleResolvers: true, description: 'The company that was made.' })
export class CreateCompanyPayloadType {
  @Field(() => CompanyType, { description: 'The company. It has nobody yet: invite its OWNER.' })
  company!: CompanyType
}

@InputType('CreateWorkspaceInput', { description: 'A workspace to be.' })
export class CreateWorkspaceInputType {
  @Field(() => ID, { description: 'The company it is of.' })
  companyId!: string

  @Field(() => String, { description: 'The name people read.' })
  name!: string

  @Field(() => String, { nullable: true, description: slugDescription })
  slug?: string | null

  @Field(() => RegionEnum, {
    nullable: true,
    description: "Its home region, for good; the company's where it is left out.",
  })
  dataRegion?: Region | null

  @Field(() => Int, {
    nullable: true,
    description: "Days for which its events are kept; the company's where it is left out.",
  })
  retentionDays?: number | null
}

@ObjectType('CreateWorkspacePayload', { simpleResolvers: true, description: 'The workspace that was made.' })
export class CreateWorkspacePayloadType {
  @Field(() => WorkspaceType, { description: 'The workspace.' })
  workspace!: WorkspaceType
}

@InputType('UpdateWorkspaceInput', { description: 'What to change of a workspace. Its region is for good.' })
export class UpdateWorkspaceInputType {
  @Field(() => ID, { description: 'The workspace.' })
  workspaceId!: string

  @Field(() => String, { nullable: true, description: 'The name people read.' })
  name?: string | null

  @Field(() => String, { nullable: true, description: 'The short name in addresses: a-z, 0-9 and -.' })
  slug?: string | null

  @Field(() => Int, { nullable: true, description: "Days for which its events are kept; null: the company's." })
  retentionDays?: number | null
}

@ObjectType('WorkspacePayload', { simpleResolvers: true, description: 'A workspace as it is now.' })
export class WorkspacePayloadType {
  @Field(() => WorkspaceType, { description: 'The workspace.' })
  workspace!: WorkspaceType
}

@InputType('ArchiveWorkspaceInput', { description: 'A workspace to close, or to open again.' })
export class ArchiveWorkspaceInputType {
  @Field(() => ID, { description: 'The workspace.' })
  workspaceId!: string
}

@InputType('CreateProjectInput', { description: 'A project to be.' })
export class CreateProjectInputType {
  @Field(() => ID, { description: 'The workspace it is in.' })
  workspaceId!: string

  @Field(() => String, { description: 'The name people read.' })
  name!: string

  @Field(() => String, { nullable: true, description: slugDescription })
  slug?: string | null
}

@ObjectType('CreateProjectPayload', { simpleResolvers: true, description: 'The project that was made.' })
export class CreateProjectPayloadType {
  @Field(() => ProjectType, { description: 'The project.' })
  project!: ProjectType
}

@InputType('CreateApiKeyInput', { description: 'An API key to be.' })
export class CreateApiKeyInputType {
  @Field(() => ID, { description: 'The company it is of.' })
  companyId!: string

  @Field(() => ID, {
    nullable: true,
    description: 'The workspace it is for; given exactly where the scope is WORKSPACE.',
  })
  workspaceId?: string | null

  @Field(() => String, { description: 'The name people read.' })
  name!: string

  @Field(() => ApiKeyScopeEnum, { description: 'How far it reaches.' })
  scope!: 'COMPANY' | 'WORKSPACE'

  @Field(() => Boolean, { nullable: true, defaultValue: false, description: 'True: it may read and never write.' })
  readOnly?: boolean | null

  @Field(() => [String], {
    nullable: true,
    defaultValue: [],
    description: 'Addresses and networks (CIDR) it may be used from, at most 100; empty: from anywhere.',
  })
  ipAllowlist?: string[] | null

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'From when on it is refused; never where it is left out.',
  })
  expiresAt?: Date | null
}

@ObjectType('CreateApiKeyPayload', { simpleResolvers: true, description: 'The key that was made.' })
export class CreateApiKeyPayloadType {
  @Field(() => ApiKeyType, { description: 'The key, without its secret.' })
  apiKey!: ApiKeyType

  @Field(() => String, { description: 'The key itself. It is in this answer and nowhere else.' })
  secret!: string
}

@InputType('RotateApiKeyInput', { description: 'A key that another one is to take the place of.' })
export class RotateApiKeyInputType {
  @Field(() => ID, { description: 'The key.' })
  apiKeyId!: string

  @Field(() => Int, {
    nullable: true,
    defaultValue: 0,
    description: 'For how many seconds the old key goes on, at most 30 days; 0: it ends at once.',
  })
  graceSeconds?: number | null
}

@ObjectType('RotateApiKeyPayload', { simpleResolvers: true, description: 'The key that took the place of another.' })
export class RotateApiKeyPayloadType {
  @Field(() => ApiKeyType, { description: 'The new key, without its secret.' })
  apiKey!: ApiKeyType

  @Field(() => String, { description: 'The new key itself. It is in this answer and nowhere else.' })
  secret!: string
}

@InputType('RevokeApiKeyInput', { description: 'A key to end.' })
export class RevokeApiKeyInputType {
  @Field(() => ID, { description: 'The key.' })
  apiKeyId!: string

  @Field(() => String, { nullable: true, description: 'Why; it stays in the admin log. At most 500 characters.' })
  reason?: string | null
}

@ObjectType('RevokeApiKeyPayload', { simpleResolvers: true, description: 'The key that was ended.' })
export class RevokeApiKeyPayloadType {
  @Field(() => ApiKeyType, { description: 'The key.' })
  apiKey!: ApiKeyType
}
