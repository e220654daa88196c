import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql'
import { type GraphqlContext, present } from '../graphql/context.js'
import { CompanyType } from './company.graphql.js'
import { MembershipType } from './user.graphql.js'
import { UserViewerType } from './viewer.graphql.js'

@Resolver(() => UserViewerType)
export class UserViewerResolver {
  @FieldResolver(() => [MembershipType], { description: 'The companies it is of, and as what.' })
  memberships(@Root() { viewer }: UserViewerType): MembershipType[] {
    return viewer.memberships.map(({ companyId, role }) => new MembershipType(companyId, role))
  }
}

@Resolver(() => MembershipType)
export class MembershipResolver {
  @FieldResolver(() => CompanyType, { description: 'The company.' })
  async company(@Root() { companyId }: MembershipType, @Ctx() { loaders }: GraphqlContext): Promise<CompanyType> {
    return new CompanyType(present(await loaders.company.load(companyId)))
  }
}
