import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import type { AdminChainDeps } from '../checkpoints/get-admin-checkpoint.js'
import type { GraphqlContext } from '../graphql/context.js'
import { decodeId } from '../kernel/ids.js'
import { AdminLogVerificationType } from './admin-log-verification.graphql.js'
import { verifyAdminLog } from './verify-admin-log.js'

/** A few of them may stand in one request. */
const COST = 20_000

@Resolver()
export class VerifyAdminLogResolver {
  constructor(private readonly deps: AdminChainDeps) {}

  @Query(() => AdminLogVerificationType, {
    complexity: COST,
    description:
      "Recomputes a company's chain of the admin log from stored data: every body, value and link, the head and the newest signed checkpoint; without companyId, the chain of what concerns no company. Staff only (SUPER_ADMIN, PRIVACY_ADMIN).",
  })
  async adminLogVerification(
    @Arg('companyId', () => ID, { nullable: true, description: 'The company.' }) companyId: string | null = null,
    @Ctx() context: GraphqlContext,
  ): Promise<AdminLogVerificationType> {
    const uuid = companyId === null ? null : decodeId('company', companyId, 'companyId')
    const verification = await verifyAdminLog(this.deps, context.viewer, uuid, context.clientGone())
    return new AdminLogVerificationType(verification)
  }
}
