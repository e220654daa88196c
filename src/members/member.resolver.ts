import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql'
import { type GraphqlContext, present } from '../graphql/context.js'
import { decodeId } from '../kernel/ids.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'
import { acceptInvitation } from './accept-invitation.js'
import { changeMemberRole } from './change-member-role.js'
import { inviteMember } from './invite-member.js'
import { listInvitations } from './list-invitations.js'
import { listMembers, type MemberDeps } from './list-members.js'
import {
  AcceptInvitationInputType,
  ChangeMemberRoleInputType,
  InvitationType,
  InviteMemberInputType,
  InviteMemberPayloadType,
  MemberPayloadType,
  MemberType,
  RemoveMemberInputType,
  RemoveMemberPayloadType,
  RevokeInvitationInputType,
  RevokeInvitationPayloadType,
  TransferOwnershipInputType,
} from './member.graphql.js'
import { removeMember } from './remove-member.js'
import { revokeInvitation } from './revoke-invitation.js'
import { transferOwnership } from './transfer-ownership.js'

const company = (id: string): string => decodeId('company', id, 'input.companyId')
const user = (id: string): string => decodeId('user', id, 'input.userId')
const workspaces = (ids: readonly string[]): string[] =>
  ids.map((id, index) => decodeId('workspace', id, `input.workspaceIds[${index}]`))

@Resolver(() => MemberType)
export class MemberResolver {
  constructor(private readonly deps: MemberDeps) {}

  @Query(() => [MemberType], {
    description: 'The people of a company, at most 500, oldest first. OWNER or ADMIN, and some staff.',
  })
  async members(
    @Arg('companyId', () => ID, { nullable: true, description: 'The company; may be left out by who is of one only.' })
    companyId: string | null = null,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<MemberType[]> {
    const uuid = companyId === null ? null : decodeId('company', companyId, 'companyId')
    return (await listMembers(this.deps, viewer, uuid)).map((member) => new MemberType(member))
  }

  @Query(() => [InvitationType], {
    description:
      'The invitations of a company that can still be accepted, newest first. OWNER or ADMIN, or SUPER_ADMIN.',
  })
  async invitations(
    @Arg('companyId', () => ID, { nullable: true, description: 'The company; may be left out by who is of one only.' })
    companyId: string | null = null,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<InvitationType[]> {
    const uuid = companyId === null ? null : decodeId('company', companyId, 'companyId')
    return (await listInvitations(this.deps, viewer, uuid)).map((invitation) => new InvitationType(invitation))
  }

  @FieldResolver(() => [WorkspaceType], {
    nullable: true,
    description: 'The workspaces that a MEMBER or VIEWER sees; null for an OWNER or ADMIN, who see all.',
  })
  async workspaces(
    @Root() { record }: MemberType,
    @Ctx() { loaders }: GraphqlContext,
  ): Promise<WorkspaceType[] | null> {
    if (record.workspaceIds === null) return null
    const found = await Promise.all(record.workspaceIds.map((id) => loaders.workspace.load(id)))
    return found.map((workspace) => new WorkspaceType(present(workspace)))
  }

  @Mutation(() => InviteMemberPayloadType, {
    description:
      'Invites somebody. Nothing is mailed: the token is in this answer once. OWNER or ADMIN, or SUPER_ADMIN.',
  })
  async inviteMember(
    @Arg('input', () => InviteMemberInputType, { description: 'Whom.' }) input: InviteMemberInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<InviteMemberPayloadType> {
    const ids = { companyId: company(input.companyId), workspaceIds: workspaces(input.workspaceIds ?? []) }
    const { invitation, token } = await inviteMember(this.deps, viewer, { ...input, ...ids })
    return { invitation: new InvitationType(invitation), token }
  }

  @Mutation(() => RevokeInvitationPayloadType, {
    description: "Takes an invitation back. OWNER or ADMIN, or SUPER_ADMIN; an OWNER's, not an ADMIN.",
  })
  async revokeInvitation(
    @Arg('input', () => RevokeInvitationInputType, { description: 'Which.' }) input: RevokeInvitationInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RevokeInvitationPayloadType> {
    await revokeInvitation(this.deps, viewer, decodeId('invitation', input.invitationId, 'input.invitationId'))
    return { invitationId: input.invitationId }
  }

  @Mutation(() => MemberPayloadType, {
    description: 'Makes the caller a member. Somebody new gets an account; who has one must be signed in with it.',
  })
  async acceptInvitation(
    @Arg('input', () => AcceptInvitationInputType, { description: 'The invitation.' }) input: AcceptInvitationInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<MemberPayloadType> {
    const { token, name = null, password = null } = input
    return { member: new MemberType(await acceptInvitation(this.deps, viewer, { token, name, password })) }
  }

  @Mutation(() => MemberPayloadType, {
    description: "Changes somebody's role. OWNER or ADMIN; what concerns an OWNER, OWNER only. The last OWNER stays.",
  })
  async changeMemberRole(
    @Arg('input', () => ChangeMemberRoleInputType, { description: 'Whose, and to what.' })
    input: ChangeMemberRoleInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<MemberPayloadType> {
    const ids = {
      companyId: company(input.companyId),
      userId: user(input.userId),
      workspaceIds: input.workspaceIds == null ? null : workspaces(input.workspaceIds),
    }
    return { member: new MemberType(await changeMemberRole(this.deps, viewer, { role: input.role, ...ids })) }
  }

  @Mutation(() => RemoveMemberPayloadType, {
    description: "Ends somebody's membership at once. OWNER or ADMIN; an OWNER's, OWNER only. The last OWNER stays.",
  })
  async removeMember(
    @Arg('input', () => RemoveMemberInputType, { description: 'Whose.' }) input: RemoveMemberInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RemoveMemberPayloadType> {
    await removeMember(this.deps, viewer, { companyId: company(input.companyId), userId: user(input.userId) })
    return { userId: input.userId }
  }

  @Mutation(() => MemberPayloadType, {
    description: 'Makes another member OWNER in the place of the caller, who becomes ADMIN. OWNER only.',
  })
  async transferOwnership(
    @Arg('input', () => TransferOwnershipInputType, { description: 'To whom.' }) input: TransferOwnershipInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<MemberPayloadType> {
    const ids = { companyId: company(input.companyId), userId: user(input.userId) }
    return { member: new MemberType(await transferOwnership(this.deps, viewer, ids)) }
  }
}
