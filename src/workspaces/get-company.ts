import { findReach } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { CompanyFacts } from '../directory/facts.js'
import { decodeId } from '../kernel/ids.js'

/**
 * The caller's company, or null where `id` names another or none. Who is of one company may leave the id out. Throws
 * UNAUTHENTICATED, BAD_USER_INPUT (not a company id, or it must be given), TOTP_REQUIRED, REGION_UNAVAILABLE.
 */
export async function getCompany(
  deps: { readonly facts: ControlFacts },
  viewer: Viewer,
  id: string | null,
): Promise<CompanyFacts | null> {
  const uuid = id === null ? null : decodeId('company', id, 'id')
  return (await findReach(deps, viewer, 'company', uuid))?.company ?? null
}
