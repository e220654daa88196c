import { Arg, Ctx, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql'
import type { ControlFacts } from '../directory/control-facts.js'
import { type GraphqlContext, present } from '../graphql/context.js'
import { CompanyType } from './company.graphql.js'
import { getWorkspace } from './get-workspace.js'
import { ProjectType } from './project.graphql.js'
import { WorkspaceType } from './workspace.graphql.js'

@Resolver(() => WorkspaceType)
export class WorkspaceResolver {
  constructor(private readonly facts: ControlFacts) {}

  @Query(() => WorkspaceType, {
    nullable: true,
    description: "One workspace; null where it does not exist or is not the caller's.",
  })
  async workspace(
    @Arg('id', () => ID, { description: 'Its global id, ws_….' }) id: string,
    @Ctx() context: GraphqlContext,
  ): Promise<WorkspaceType | null> {
    const workspace = await getWorkspace({ facts: this.facts }, context.viewer, id)
    return workspace === null ? null : new WorkspaceType(workspace)
  }

  @FieldResolver(() => CompanyType, { description: 'The company it belongs to.' })
  async company(@Root() { record }: WorkspaceType, @Ctx() { loaders }: GraphqlContext): Promise<CompanyType> {
    return new CompanyType(present(await loaders.company.load(record.companyId)))
  }

  @FieldResolver(() => [ProjectType], { description: 'Its projects, oldest first.' })
  async projects(@Root() { record }: WorkspaceType, @Ctx() { loaders }: GraphqlContext): Promise<ProjectType[]> {
    const projects = await loaders.projectsOfWorkspace.load(record.id)
    return projects.map((project) => new ProjectType(project))
  }
}
