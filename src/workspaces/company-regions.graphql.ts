import { Field, Float, ObjectType, registerEnumType } from 'type-graphql'
import { RegionEnum } from '../graphql/region.graphql.js'
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
}

@ObjectType('CompanyRegions', { simpleResolvers: true, description: 'Where a company keeps its events.' })
export class CompanyRegionsType {
  @Field(() => CompanyRegionType, { description: "The company's primary region." })
  primary!: CompanyRegionType

  @Field(() => [CompanyRegionType], { description: 'The regions that keep a replica.' })
  replicas!: CompanyRegionType[]
}
