import { Arg, Ctx, Mutation, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { decodeId } from '../kernel/ids.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'
import { ResyncReplicaInputType, ResyncReplicaPayloadType } from './replication.graphql.js'
import { resyncReplica, type ResyncReplicaDeps } from './resync-replica.js'

@Resolver()
export class ReplicationResolver {
  constructor(private readonly deps: ResyncReplicaDeps) {}

  @Mutation(() => ResyncReplicaPayloadType, {
    description:
      'Has the replica of a workspace in another region deleted and copied again from its home, such as one that was stopped because it contradicts it. Staff (SUPER_ADMIN, PRIVACY_ADMIN, SUPPORT_ADMIN).',
  })
  async resyncReplica(
    @Arg('input', () => ResyncReplicaInputType, { description: 'Which.' }) input: ResyncReplicaInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<ResyncReplicaPayloadType> {
    const { region } = input
    const workspaceId = decodeId('workspace', input.workspaceId, 'input.workspaceId')
    return { workspace: new WorkspaceType(await resyncReplica(this.deps, viewer, { workspaceId, region })), region }
  }
}
