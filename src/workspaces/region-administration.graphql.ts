import { Field, ID, InputType, ObjectType } from 'type-graphql'
import { RegionEnum } from '../graphql/region.graphql.js'
import type { Region } from '../kernel/region.js'
import { CompanyType } from './company.graphql.js'
import { ColdStorageConfigType, ColdStorageProviderEnum } from './company-regions.graphql.js'

@InputType('SetCompanyReplicationInput', { description: 'Where a company keeps replicas.' })
export class SetCompanyReplicationInputType {
  @Field(() => ID, { description: 'The company.' })
  companyId!: string

  @Field(() => [RegionEnum], {
    description:
      'The regions that keep replicas from now on, in the order in which they stand in; none: an empty list. Not the primary region.',
  })
  replicateTo!: Region[]
}

@ObjectType('CompanyPayload', { simpleResolvers: true, description: 'The company as it is now.' })
export class CompanyPayloadType {
  @Field(() => CompanyType, { description: 'The company.' })
  company!: CompanyType
}

@InputType('UpsertRegionDataStoreInput', { description: "Where a region's data is." })
export class UpsertRegionDataStoreInputType {
  @Field(() => RegionEnum, { description: 'The region.' })
  region!: Region

  @Field(() => String, {
    description:
      "Its PostgreSQL database, as the service's role: postgres://user:password@host:5432/database. That role is neither owner nor superuser.",
  })
  dbUrl!: string

  @Field(() => String, {
    nullable: true,
    description:
      'The same as the owner role that migrates. Left out, the one known stays as long as the database is the same; null: somebody else migrates.',
  })
  ownerUrl?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'A read-only copy of the same database. Left out, the one known stays; null: there is none.',
  })
  readOnlyUrl?: string | null

  @Field(() => ColdStorageProviderEnum, { description: 'Who stores the archives of the region.' })
  coldStorageProvider!: 'LOCAL' | 'AWS' | 'AZURE' | 'GCP'

  @Field(() => String, { description: 'The bucket, container or directory they go to.' })
  coldStorageBucket!: string
}

@ObjectType('RegionDataStorePayload', { simpleResolvers: true, description: 'The settings of a region.' })
export class RegionDataStorePayloadType {
  @Field(() => RegionEnum, { description: 'The region.' })
  region!: Region

  @Field(() => String, { description: 'Its database; the password is masked.' })
  dbUrl!: string

  @Field(() => ColdStorageConfigType, { description: 'Where its archives go.' })
  coldStorage!: ColdStorageConfigType
}
