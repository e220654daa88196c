import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import type { ControlFacts } from '../directory/control-facts.js'
import type { GraphqlContext } from '../graphql/context.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { CompanyRegionsType } from './company-regions.graphql.js'
import { getCompanyRegions } from './get-company-regions.js'

@Resolver()
export class CompanyRegionsResolver {
  constructor(
    private readonly registry: RegionRegistry,
    private readonly facts: ControlFacts,
  ) {}

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
    return getCompanyRegions({ registry: this.registry, facts: this.facts }, context.viewer, companyId)
  }
}
