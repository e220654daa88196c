import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { decodeId } from '../kernel/ids.js'
import { CheckpointType } from './checkpoint.graphql.js'
import { type AdminChainDeps, getAdminCheckpoint } from './get-admin-checkpoint.js'

@Resolver()
export class AdminCheckpointResolver {
  constructor(private readonly deps: AdminChainDeps) {}

  @Query(() => CheckpointType, {
    nullable: true,
    description:
      "The newest signed checkpoint of a company's chain of the admin log; without companyId, of the chain of what concerns no company. Signed by the key <log name>/CONTROL, its origin is <log name>/ws/<the company's UUID>. Staff only (SUPER_ADMIN, PRIVACY_ADMIN).",
  })
  adminLogCheckpoint(
    @Arg('companyId', () => ID, { nullable: true, description: 'The company.' }) companyId: string | null = null,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<CheckpointType | null> {
    const uuid = companyId === null ? null : decodeId('company', companyId, 'companyId')
    return getAdminCheckpoint(this.deps, viewer, uuid)
  }
}
