import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { SafeIntScalar } from '../graphql/scalars.js'
import { ChainVerificationType } from './chain-verification.graphql.js'
import { verifyChain, type VerifyChainDeps } from './verify-chain.js'

/** A few of them may stand in one request. */
const COST = 20_000

@Resolver()
export class VerifyChainResolver {
  constructor(private readonly deps: VerifyChainDeps) {}

  @Query(() => ChainVerificationType, {
    nullable: true,
    complexity: COST,
    description:
      "Recomputes a stretch of a workspace's chain from stored data: every body, link and value, and, where it goes to the end of the chain, the signed checkpoints kept in and outside its region. Ends after four minutes: a chain of many millions is verified in stretches.",
  })
  async verifyChain(
    @Arg('workspaceId', () => ID, { description: 'The workspace.' }) workspaceId: string,
    @Arg('fromSequence', () => SafeIntScalar, { nullable: true, description: 'The first sequence; 1 where left out.' })
    fromSequence: number | null = null,
    @Arg('toSequence', () => SafeIntScalar, {
      nullable: true,
      description: 'The last sequence; where left out, the stretch goes to the end of the chain.',
    })
    toSequence: number | null = null,
    @Ctx() context: GraphqlContext,
  ): Promise<ChainVerificationType | null> {
    const input = { workspaceId, fromSequence, toSequence }
    const verification = await verifyChain(this.deps, context.viewer, input, context.clientGone())
    return verification === null ? null : new ChainVerificationType(verification)
  }
}
