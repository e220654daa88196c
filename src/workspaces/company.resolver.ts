import { Arg, Ctx, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql'
import type { ControlFacts } from '../directory/control-facts.js'
import type { GraphqlContext } from '../graphql/context.js'
import { CompanyType } from './company.graphql.js'
import { getCompany } from './get-company.js'
import { listReachableWorkspaces } from './get-workspace.js'
import { WorkspaceType } from './workspace.graphql.js'

@Resolver(() => CompanyType)
export class CompanyResolver {
  constructor(private readonly facts: ControlFacts) {}

  @Query(() => CompanyType, {
    nullable: true,
    description: "The caller's company; null where the id names another.",
  })
  async company(
    @Arg('id', () => ID, { nullable: true, description: "The caller's company; may be left out." }) id:
      | string
      | null = null,
    @Ctx() context: GraphqlContext,
  ): Promise<CompanyType | null> {
    const company = await getCompany({ facts: this.facts }, context.viewer, id)
    return company === null ? null : new CompanyType(company)
  }

  @FieldResolver(() => [WorkspaceType], {
    description: 'Its workspaces, oldest first; those that the caller may see.',
  })
  async workspaces(@Root() { record }: CompanyType, @Ctx() context: GraphqlContext): Promise<WorkspaceType[]> {
    const workspaces = await listReachableWorkspaces({ facts: this.facts }, context.viewer, record.id)
    return workspaces.map((workspace) => new WorkspaceType(workspace))
  }
}
