import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { SafeIntScalar } from '../graphql/scalars.js'
import type { EventReads } from '../events/event-reads.js'
import { CheckpointType, ConsistencyProofType, InclusionProofType } from './checkpoint.graphql.js'
import { getCheckpoint } from './get-checkpoint.js'
import { getConsistencyProof } from './get-consistency-proof.js'
import { getInclusionProof } from './get-inclusion-proof.js'

@Resolver()
export class CheckpointResolver {
  constructor(private readonly reads: EventReads) {}

  @Query(() => CheckpointType, {
    nullable: true,
    description: "The newest signed checkpoint of a workspace's Merkle tree.",
  })
  checkpoint(
    @Arg('workspaceId', () => ID, { description: 'The workspace.' }) workspaceId: string,
    @Ctx() context: GraphqlContext,
  ): Promise<CheckpointType | null> {
    return getCheckpoint(this.reads, context.viewer, workspaceId)
  }

  @Query(() => InclusionProofType, {
    nullable: true,
    description: "Proof that an event is in its workspace's Merkle tree, for any size the tree has had since.",
  })
  inclusionProof(
    @Arg('eventId', () => ID, { description: 'The event.' }) eventId: string,
    @Arg('treeSize', () => SafeIntScalar, {
      nullable: true,
      description: "The size of the tree; the newest checkpoint's where it is left out.",
    })
    treeSize: number | null = null,
    @Ctx() context: GraphqlContext,
  ): Promise<InclusionProofType | null> {
    return getInclusionProof(this.reads, context.viewer, { eventId, treeSize })
  }

  @Query(() => ConsistencyProofType, {
    nullable: true,
    description: "Proof that a workspace's Merkle tree begins with an earlier one.",
  })
  consistencyProof(
    @Arg('workspaceId', () => ID, { description: 'The workspace.' }) workspaceId: string,
    @Arg('fromTreeSize', () => SafeIntScalar, { description: 'The size of the earlier tree, from 0.' })
    fromTreeSize: number,
    @Arg('toTreeSize', () => SafeIntScalar, { description: 'The size of the later tree, at most its size now.' })
    toTreeSize: number,
    @Ctx() context: GraphqlContext,
  ): Promise<ConsistencyProofType | null> {
    return getConsistencyProof(this.reads, context.viewer, { workspaceId, fromTreeSize, toTreeSize })
  }
}
