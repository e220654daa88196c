import type { GraphQLResolveInfo } from 'graphql'
import { Arg, Args, Ctx, ID, Info, Query, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { PageArgs, requestedPage } from '../graphql/page-args.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { selectsAny } from '../graphql/selection.js'
import type { Region } from '../kernel/region.js'
import { AuditEventConnectionType, GlobalEventConnectionType } from './event-connection.graphql.js'
import { EventFilterType } from './event-filter.graphql.js'
import type { EventReads } from './event-reads.js'
import type { EventListInput } from './list-events.js'
import { queryCompanyEvents } from './query-company-events.js'
import { queryGlobalEvents } from './query-global-events.js'
import { queryWorkspaceEvents } from './query-workspace-events.js'

const totals = new Set(['totalCount', 'totalCountIsExact'])
const sealedFields = new Set(['actor', 'target', 'payload', 'metadata', 'changes', 'traceId'])

const listInput = (filter: EventFilterType | null, args: PageArgs, info: GraphQLResolveInfo): EventListInput => ({
  filter,
  page: requestedPage(args, info),
  withTotal: selectsAny(info, totals),
  withBlobs: selectsAny(info, sealedFields),
})

const filterDescription = 'Which events; all of them where it is left out.'

@Resolver()
export class EventListsResolver {
  constructor(private readonly reads: EventReads) {}

  @Query(() => AuditEventConnectionType, {
    nullable: true,
    description:
      'Events of one workspace, newest first: occurredAt descending, then id descending, here and in every event list. A workspace key may leave workspaceId out.',
  })
  async workspaceEvents(
    @Arg('workspaceId', () => ID, { nullable: true, description: 'The workspace.' }) workspaceId: string | null = null,
    @Arg('filter', () => EventFilterType, { nullable: true, description: filterDescription })
    filter: EventFilterType | null = null,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<AuditEventConnectionType> {
    const input = { ...listInput(filter, args, info), workspaceId }
    return new AuditEventConnectionType(await queryWorkspaceEvents(this.reads, context.viewer, input))
  }

  @Query(() => AuditEventConnectionType, {
    nullable: true,
    description: "Events of the caller's company that live in the company's primary region, newest first.",
  })
  async companyEvents(
    @Arg('companyId', () => ID, { nullable: true, description: "The caller's company; may be left out." })
    companyId: string | null = null,
    @Arg('filter', () => EventFilterType, { nullable: true, description: filterDescription })
    filter: EventFilterType | null = null,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<AuditEventConnectionType> {
    const input = { ...listInput(filter, args, info), companyId }
    return new AuditEventConnectionType(await queryCompanyEvents(this.reads, context.viewer, input))
  }

  @Query(() => GlobalEventConnectionType, {
    nullable: true,
    description:
      "Events of the caller's company in every region that holds them, merged newest first. A region that cannot answer is reported, never silently left out.",
  })
  async globalEvents(
    @Arg('companyId', () => ID, { nullable: true, description: "The caller's company; may be left out." })
    companyId: string | null = null,
    @Arg('filter', () => EventFilterType, { nullable: true, description: filterDescription })
    filter: EventFilterType | null = null,
    @Arg('regions', () => [RegionEnum], {
      nullable: true,
      description: 'Only these regions; all where it is left out.',
    })
    regions: Region[] | null = null,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<GlobalEventConnectionType> {
    const input = { ...listInput(filter, args, info), companyId, regions }
    return new GlobalEventConnectionType(await queryGlobalEvents(this.reads, context.viewer, input))
  }
}
