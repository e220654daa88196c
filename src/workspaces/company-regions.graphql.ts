import { Field, Float, Int, ObjectType, registerEnumType } from 'type-graphql'
import { RegionEnum } from '../graphql/region.graphql.js'
import { SafeIntScalar } from '../graphql/scalars.js'
import type { Region } from '../kernel/region.js'

export const ColdStorageProviderEnum = { LOCAL: 'LOCAL', AWS: 'AWS', AZURE: 'AZURE', GCP: 'GCP' } as const
registerEnumType(ColdStorageProviderEnum, {
  name: 'ColdStorageProvider',
  description: 'Who stores the archives of a region.',
  valuesConfig: {
    LOCAL: { description: 'A directory on the disk of the service.' },
    AWS: { description: 'Amazon S3.' },
    AZURE: { description: 'Azure Blob Storage.' },
    GCP: { description: 'Google Cloud Storage.' },
  },
})

@ObjectType('ColdStorageConfig', { simpleResolvers: true, description: 'Where the archives of a region go.' })
export class ColdStorageConfigType {
  @Field(() => ColdStorageProviderEnum, { description: 'Who stores them.' })
  provider!: 'LOCAL' | 'AWS' | 'AZURE' | 'GCP'

  @Field(() => String, {
    description: 'The bucket or container; of LOCAL the name of the folder, without where it lies.',
  })
  bucket!: string
}

@ObjectType('CompanyRegion', { simpleResolvers: true, description: 'One of the regions of a company.' })
export class CompanyRegionType {
  @Field(() => RegionEnum, { description: 'The region.' })
  region!: Region

  @Field(() => Boolean, {
    description: 'Its database answers and takes writes, by the last health check (each minute).',
  })
  healthy!: boolean

  @Field(() => Float, {
    nullable: true,
    description: 'How long its database took to answer then, in milliseconds; null where it did not.',
  })
  latencyMs!: number | null

  @Field(() => ColdStorageConfigType, {
    nullable: true,
    description: 'Where its archives go; null where the region is not configured.',
  })
  coldStorage!: ColdStorageConfigType | null

  @Field(() => SafeIntScalar, {
    nullable: true,
    description:
      "How many signed events of the company's chains in other regions its replicas here do not have yet. Null for the primary region, and where it is not known now.",
  })
  replicationLagEvents!: number | null

  @Field(() => Float, {
    nullable: true,
    description:
      'How long ago they last had all of them, in seconds; 0 where they have them. Null for the primary region, where they never had, and where it is not known now.',
  })
  replicationLagSeconds!: number | null

  @Field(() => Int, {
    nullable: true,
    description:
      'How many replicas here were stopped because they contradict their home: nothing is copied to them nor read from them until staff have them rebuilt. Null as above.',
  })
  stoppedReplicas!: number | null
}

@ObjectType('CompanyRegions', { simpleResolvers: true, description: 'Where a company keeps its events.' })
export class CompanyRegionsType {
  @Field(() => CompanyRegionType, { description: "The company's primary region." })
  primary!: CompanyRegionType

  @Field(() => [CompanyRegionType], { description: 'The regions that keep a replica.' })
  replicas!: CompanyRegionType[]
}
