import { Field, ID, InputType, ObjectType } from 'type-graphql'
import { RegionEnum } from '../graphql/region.graphql.js'
import type { Region } from '../kernel/region.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'

@InputType('ResyncReplicaInput', { description: 'A replica.' })
export class ResyncReplicaInputType {
  @Field(() => ID, { description: 'The workspace whose chain is copied.' })
  workspaceId!: string

  @Field(() => RegionEnum, { description: 'The region that keeps the copy.' })
  region!: Region
}

@ObjectType('ResyncReplicaPayload', { simpleResolvers: true, description: 'A replica that is being rebuilt.' })
export class ResyncReplicaPayloadType {
  @Field(() => WorkspaceType, { description: 'The workspace whose chain is copied.' })
  workspace!: WorkspaceType

  @Field(() => RegionEnum, { description: 'The region that keeps the copy.' })
  region!: Region
}
