import { Field, ID, ObjectType } from 'type-graphql'
import type { ProjectFacts } from '../directory/facts.js'
import { NodeType } from '../graphql/node.graphql.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'

@ObjectType('Project', { implements: NodeType, description: 'A label by which a workspace groups its events.' })
export class ProjectType implements NodeType {
  constructor(readonly record: ProjectFacts) {}

  @Field(() => ID, { description: 'The global id, prj_….' })
  get id(): string {
    return encodeId('project', this.record.id)
  }

  @Field(() => String, { description: 'The name people read.' })
  get name(): string {
    return this.record.name
  }

  @Field(() => String, { description: 'The short name in addresses; unique in the workspace.' })
  get slug(): string {
    return this.record.slug
  }

  @Field(() => DateTimeScalar, { description: 'When it was created.' })
  get createdAt(): Date {
    return this.record.createdAt
  }
}
