import { Ctx, FieldResolver, registerEnumType, Resolver, Root } from 'type-graphql'
import type { Database } from '../db/database.js'
import { type GraphqlContext, oncePerRequest } from '../graphql/context.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'
import type { ChainStatus, KeptVerdict } from './chain-verification.store.js'
import { createVerdictLoader } from './workspace-verdict.js'

export const ChainStatusEnum = {
  UNVERIFIED: 'UNVERIFIED',
  OK: 'OK',
  OK_WITH_ERASURES: 'OK_WITH_ERASURES',
  BROKEN: 'BROKEN',
} as const satisfies Record<ChainStatus, ChainStatus>
registerEnumType(ChainStatusEnum, {
  name: 'ChainStatus',
  description: "What the last nightly verification of a workspace's whole chain came to.",
  valuesConfig: {
    UNVERIFIED: { description: 'It has not been verified yet.' },
    OK: { description: 'Every event was whole.' },
    OK_WITH_ERASURES: { description: 'Every event was whole; values were erased, as the chain itself proves.' },
    BROKEN: { description: 'It did not verify: ask verifyChain where and why.' },
  },
})

@Resolver(() => WorkspaceType)
export class WorkspaceVerdictResolver {
  constructor(private readonly control: Database) {}

  @FieldResolver(() => DateTimeScalar, {
    nullable: true,
    description: 'When its whole chain was last verified by the nightly job; null before the first time.',
  })
  async lastVerifiedAt(@Root() workspace: WorkspaceType, @Ctx() context: GraphqlContext): Promise<Date | null> {
    return (await this.#verdict(workspace, context)).verifiedAt
  }

  @FieldResolver(() => ChainStatusEnum, { description: 'What that came to.' })
  async chainStatus(@Root() workspace: WorkspaceType, @Ctx() context: GraphqlContext): Promise<ChainStatus> {
    return (await this.#verdict(workspace, context)).status
  }

  #verdict({ record }: WorkspaceType, context: GraphqlContext): Promise<KeptVerdict> {
    return oncePerRequest(context, createVerdictLoader, () => createVerdictLoader(this.control)).load(record.id)
  }
}
