import type { GraphQLResolveInfo } from 'graphql'
import { Arg, Args, Ctx, FieldResolver, ID, Info, Mutation, Query, Resolver, Root } from 'type-graphql'
import { type GraphqlContext, present } from '../graphql/context.js'
import { PageArgs, requestedPage } from '../graphql/page-args.graphql.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'
import type { ArchiveDeps } from './archive-deps.js'
import {
  ArchiveObjectConnectionType,
  ArchiveObjectPayloadType,
  ArchiveObjectType,
  RequestRestoreInputType,
  RestoreEstimateType,
  VerifyArchivePayloadType,
} from './archive.graphql.js'
import { type ArchiveReads, estimateRestore, listArchiveObjects } from './list-archive-objects.js'
import { requestRestore, RESTORE_DAYS_DEFAULT } from './request-restore.js'
import { verifyArchive } from './verify-archive.js'

/** What the API's side of archives takes. */
export type ArchiveApi = ArchiveDeps & ArchiveReads & { readonly registry: RegionRegistry }

const fromDescription = 'Those with events received at this time or later.'
const toDescription = 'Those with events received before this time.'

@Resolver(() => ArchiveObjectType)
export class ArchiveResolver {
  constructor(private readonly api: ArchiveApi) {}

  @Query(() => ArchiveObjectConnectionType, { description: 'Archive objects of a workspace, newest day first.' })
  async archiveObjects(
    @Arg('workspaceId', () => ID, { description: 'The workspace.' }) workspaceId: string,
    @Arg('from', () => DateTimeScalar, { nullable: true, description: fromDescription }) from: Date | null = null,
    @Arg('to', () => DateTimeScalar, { nullable: true, description: toDescription }) to: Date | null = null,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { viewer }: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<ArchiveObjectConnectionType> {
    const page = await listArchiveObjects(this.api, viewer, { workspaceId, from, to, page: requestedPage(args, info) })
    return new ArchiveObjectConnectionType(page, this.api.clock.now())
  }

  @Query(() => RestoreEstimateType, {
    description: "How much of a workspace's archive there is to restore, before anybody asks for it.",
  })
  restoreEstimate(
    @Arg('workspaceId', () => ID, { description: 'The workspace.' }) workspaceId: string,
    @Arg('from', () => DateTimeScalar, { nullable: true, description: fromDescription }) from: Date | null = null,
    @Arg('to', () => DateTimeScalar, { nullable: true, description: toDescription }) to: Date | null = null,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RestoreEstimateType> {
    return estimateRestore(this.api, viewer, { workspaceId, from, to })
  }

  @Mutation(() => ArchiveObjectPayloadType, {
    description: 'Ask for a cold archive object to be made readable again.',
  })
  async requestRestore(
    @Arg('input', () => RequestRestoreInputType, { description: 'Which object.' }) input: RequestRestoreInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<ArchiveObjectPayloadType> {
    const { archiveObjectId, days, tier = null } = input
    const restore = { archiveObjectId, days: days ?? RESTORE_DAYS_DEFAULT, tier }
    const object = await requestRestore(this.api, viewer, restore)
    return { archiveObject: new ArchiveObjectType(object, this.api.clock.now()) }
  }

  @Mutation(() => VerifyArchivePayloadType, {
    description:
      'Downloads, unpacks and verifies an archive object now, as a job does with all of them every week. The verdict is kept with it.',
  })
  async verifyArchive(
    @Arg('archiveObjectId', () => ID, { description: 'The archive object.' }) archiveObjectId: string,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<VerifyArchivePayloadType> {
    const { object, verdict } = await verifyArchive(this.api, viewer, archiveObjectId)
    return { verdict, archiveObject: new ArchiveObjectType(object, this.api.clock.now()) }
  }

  @FieldResolver(() => WorkspaceType, { description: 'The workspace whose events it has.' })
  async workspace(@Root() { object }: ArchiveObjectType, @Ctx() { loaders }: GraphqlContext): Promise<WorkspaceType> {
    return new WorkspaceType(present(await loaders.workspace.load(object.workspaceId)))
  }
}
