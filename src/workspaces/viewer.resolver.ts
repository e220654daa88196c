import { Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { ApiKeyType } from './api-key.graphql.js'
import { CompanyType } from './company.graphql.js'
import {
  AnonymousViewerType,
  ApiKeyViewerType,
  StaffViewerType,
  UserViewerType,
  ViewerUnion,
} from './viewer.graphql.js'
import { WorkspaceType } from './workspace.graphql.js'

@Resolver(() => ApiKeyViewerType)
export class ViewerResolver {
  @Query(() => ViewerUnion, { description: 'Who is calling: an API key, a dashboard session, or nobody.' })
  viewer(@Ctx() { viewer }: GraphqlContext): typeof ViewerUnion {
    switch (viewer.kind) {
      case 'anonymous':
        return new AnonymousViewerType(viewer.reason)
      case 'apiKey':
        return new ApiKeyViewerType(viewer.key)
      case 'user':
        return new UserViewerType(viewer)
      case 'staff':
        return new StaffViewerType(viewer)
    }
  }

  @FieldResolver(() => ApiKeyType, { description: 'The key it calls with.' })
  apiKey(@Root() { key }: ApiKeyViewerType): ApiKeyType {
    return new ApiKeyType(key)
  }

  @FieldResolver(() => CompanyType, { description: 'The company the key belongs to.' })
  company(@Root() { key }: ApiKeyViewerType): CompanyType {
    return new CompanyType(key.company)
  }

  @FieldResolver(() => WorkspaceType, {
    nullable: true,
    description: 'The workspace the key is for; null for a company key.',
  })
  workspace(@Root() { key }: ApiKeyViewerType): WorkspaceType | null {
    return key.workspace === null ? null : new WorkspaceType(key.workspace)
  }
}
