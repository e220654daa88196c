import type { GraphQLResolveInfo } from 'graphql'
import { Arg, Args, Ctx, ID, Info, Query, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { PageArgs, requestedPage } from '../graphql/page-args.graphql.js'
import { decodeId } from '../kernel/ids.js'
import { AdminEventConnectionType } from './admin-log.graphql.js'
import { type AdminLogDeps, listAdminLog } from './list-admin-log.js'

@Resolver()
export class AdminLogResolver {
  constructor(private readonly deps: AdminLogDeps) {}

  @Query(() => AdminEventConnectionType, {
    description:
      'What staff and administrators did to a company, newest first; without companyId, what concerns no company: staff who sign in, and attempts that failed. Staff only (SUPER_ADMIN, PRIVACY_ADMIN).',
  })
  async adminLog(
    @Arg('companyId', () => ID, { nullable: true, description: 'The company.' }) companyId: string | null = null,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { viewer }: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<AdminEventConnectionType> {
    const uuid = companyId === null ? null : decodeId('company', companyId, 'companyId')
    const page = await listAdminLog(this.deps, viewer, { companyId: uuid, page: requestedPage(args, info) })
    return new AdminEventConnectionType(page)
  }
}
