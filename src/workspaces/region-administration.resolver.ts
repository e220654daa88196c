import { Arg, Ctx, Mutation, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { decodeId } from '../kernel/ids.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { CompanyType } from './company.graphql.js'
import {
  CompanyPayloadType,
  RegionDataStorePayloadType,
  SetCompanyReplicationInputType,
  UpsertRegionDataStoreInputType,
} from './region-administration.graphql.js'
import { setCompanyReplication } from './set-company-replication.js'
import { type RegionDataStoreDeps, upsertRegionDataStore } from './upsert-region-data-store.js'

export interface RegionAdministrationDeps extends RegionDataStoreDeps {
  readonly registry: Pick<RegionRegistry, 'find'>
}

/** Some seconds of work each: it is tried before it is written. */
const UPSERT_COST = 5_000

@Resolver()
export class RegionAdministrationResolver {
  constructor(private readonly deps: RegionAdministrationDeps) {}

  @Mutation(() => CompanyPayloadType, {
    description:
      'Says which regions keep replicas of a company: a new one is filled from the beginning, one that is left out is purged. Staff (SUPER_ADMIN) only.',
  })
  async setCompanyReplication(
    @Arg('input', () => SetCompanyReplicationInputType, { description: 'The company and its regions.' })
    input: SetCompanyReplicationInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<CompanyPayloadType> {
    const companyId = decodeId('company', input.companyId, 'input.companyId')
    return { company: new CompanyType(await setCompanyReplication(this.deps, viewer, { ...input, companyId })) }
  }

  @Mutation(() => RegionDataStorePayloadType, {
    complexity: UPSERT_COST,
    description:
      "Says where a region's data is. The databases are tried, and migrated as the owner, before anything is changed; running processes use them within a second or so. Staff (SUPER_ADMIN) only.",
  })
  upsertRegionDataStore(
    @Arg('input', () => UpsertRegionDataStoreInputType, { description: 'The settings.' })
    input: UpsertRegionDataStoreInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RegionDataStorePayloadType> {
    return upsertRegionDataStore(this.deps, viewer, input)
  }
}
