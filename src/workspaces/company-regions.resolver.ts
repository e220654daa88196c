import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { CompanyRegionsType } from './company-regions.graphql.js'
import { type CompanyRegionsDeps, getCompanyRegions } from './get-company-regions.js'

@Resolver()
export class CompanyRegionsResolver {
  constructor(private readonly deps: CompanyRegionsDeps) {}

  @Query(() => CompanyRegionsType, {
    nullable: true,
    description:
      "Where the caller's company keeps its events, whether those regions answer now, and where their archives go.",
  })
  companyRegions(
    @Arg('companyId', () => ID, { nullable: true, description: "The caller's company; may be left out." })
    companyId: string | null = null,
    @Ctx() context: GraphqlContext,
  ): Promise<CompanyRegionsType | null> {
    return getCompanyRegions(this.deps, context.viewer, companyId)
  }
}
