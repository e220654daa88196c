import { GLOBAL_CHAIN_ID } from '../admin-log/admin-entry.js'
import { admitSession } from '../auth/permissions.js'
import type { Operation } from '../auth/permission-table.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { notFound } from '../kernel/domain-error.js'
import { type AdminSigningDeps, signAdminChain } from './sign-admin-chains.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'

/** What looking into the chains of the admin log takes. */
export interface AdminChainDeps extends AdminSigningDeps {
  readonly facts: Pick<ControlFacts, 'company'>
}

/**
 * The chain of a company, or (null) of what concerns none, for who may read it: staff, whose reading is written into it
 * first. UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, REGION_UNAVAILABLE. `companyId` is a UUID.
 */
export async function readableAdminChain(
  deps: Pick<AdminChainDeps, 'facts'>,
  viewer: Viewer,
  operation: Operation,
  companyId: string | null,
): Promise<string> {
  const session = admitSession(viewer, operation)
  if (companyId === null) return GLOBAL_CHAIN_ID
  if ((await deps.facts.company(companyId)) === null) throw notFound('Company')
  if (session.kind === 'staff') await session.recordRead(operation, companyId)
  return companyId
}

/**
 * The newest signed checkpoint of a chain of the admin log, null before its first entry. Throws as
 * {@link readableAdminChain}.
 */
export async function getAdminCheckpoint(
  deps: AdminChainDeps,
  viewer: Viewer,
  companyId: string | null,
): Promise<SignedCheckpoint | null> {
  const chainId = await readableAdminChain(deps, viewer, 'adminLogCheckpoint', companyId)
  return orControlUnavailable(() => signAdminChain(deps, chainId))
}
