import { Field, ID, Int, ObjectType } from 'type-graphql'
import { NodeType } from '../graphql/node.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { CompanyFacts } from '../directory/facts.js'

@ObjectType('Company', {
  implements: NodeType,
  description: 'A tenant. Nothing of one company is ever shown to another.',
})
export class CompanyType implements NodeType {
  constructor(readonly record: CompanyFacts) {}

  @Field(() => ID, { description: 'The global id, co_….' })
  get id(): string {
    return encodeId('company', this.record.id)
  }

  @Field(() => String, { description: 'The name people read.' })
  get name(): string {
    return this.record.name
  }

  @Field(() => String, { description: 'The short name in addresses; unique.' })
  get slug(): string {
    return this.record.slug
  }

  @Field(() => RegionEnum, { description: 'The primary region: where its workspaces live unless they say otherwise.' })
  get dataRegion(): Region {
    return this.record.dataRegion
  }

  @Field(() => [RegionEnum], { description: 'Regions that keep a replica of its events.' })
  get replicateTo(): readonly Region[] {
    return this.record.replicateTo
  }

  @Field(() => Int, {
    description: 'Days for which its events are kept after they were received; a workspace may have its own.',
  })
  get retentionDays(): number {
    return this.record.retentionDays
  }

  @Field(() => DateTimeScalar, { description: 'When it was created.' })
  get createdAt(): Date {
    return this.record.createdAt
  }
}
