import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql'
import type { WorkspaceFacts } from '../directory/facts.js'
import { NodeType } from '../graphql/node.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'

export const WorkspaceStatusEnum = { ACTIVE: 'ACTIVE', ARCHIVED: 'ARCHIVED' } as const
registerEnumType(WorkspaceStatusEnum, {
  name: 'WorkspaceStatus',
  description: 'Whether a workspace still takes events.',
  valuesConfig: {
    ACTIVE: { description: 'Events are recorded and read.' },
    ARCHIVED: { description: 'Closed: events are read, none are recorded.' },
  },
})

@ObjectType('Workspace', {
  implements: NodeType,
  description: 'A part of a company with an event chain of its own, living in one region.',
})
export class WorkspaceType implements NodeType {
  constructor(readonly record: WorkspaceFacts) {}

  @Field(() => ID, { description: 'The global id, ws_….' })
  get id(): string {
    return encodeId('workspace', this.record.id)
  }

  @Field(() => String, { description: 'The name people read.' })
  get name(): string {
    return this.record.name
  }

  @Field(() => String, { description: 'The short name in addresses; unique in the company.' })
  get slug(): string {
    return this.record.slug
  }

  @Field(() => RegionEnum, { description: 'The home region: the only one whose database holds its events.' })
  get dataRegion(): Region {
    return this.record.dataRegion
  }

  @Field(() => Int, {
    description: "Days for which its events are kept after they were received: its own number, else the company's.",
  })
  get retentionDays(): number {
    return this.record.retentionDays
  }

  @Field(() => WorkspaceStatusEnum, { description: 'Whether it still takes events.' })
  get status(): 'ACTIVE' | 'ARCHIVED' {
    return this.record.status
  }

  @Field(() => DateTimeScalar, { description: 'When it was created.' })
  get createdAt(): Date {
    return this.record.createdAt
  }
}
