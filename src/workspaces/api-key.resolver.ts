import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql'
import { type GraphqlContext, present } from '../graphql/context.js'
import { ApiKeyType } from './api-key.graphql.js'
import { WorkspaceType } from './workspace.graphql.js'

@Resolver(() => ApiKeyType)
export class ApiKeyResolver {
  @FieldResolver(() => WorkspaceType, {
    nullable: true,
    description: 'The workspace it is for; null for a company key.',
  })
  async workspace(@Root() { record }: ApiKeyType, @Ctx() { loaders }: GraphqlContext): Promise<WorkspaceType | null> {
    if (record.workspaceId === null) return null
    return new WorkspaceType(present(await loaders.workspace.load(record.workspaceId)))
  }
}
