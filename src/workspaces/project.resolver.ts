import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql'
import { type GraphqlContext, present } from '../graphql/context.js'
import { ProjectType } from './project.graphql.js'
import { WorkspaceType } from './workspace.graphql.js'

@Resolver(() => ProjectType)
export class ProjectResolver {
  @FieldResolver(() => WorkspaceType, { description: 'The workspace it belongs to.' })
  async workspace(@Root() { record }: ProjectType, @Ctx() { loaders }: GraphqlContext): Promise<WorkspaceType> {
    return new WorkspaceType(present(await loaders.workspace.load(record.workspaceId)))
  }
}
