import { findReaches, visibleCompanies } from '../auth/permissions.js'
import type { Account, Viewer } from '../auth/viewer.js'
import { orControlUnavailable } from '../directory/with-control.js'
import type { MemberDeps } from './list-members.js'
import { readMembers } from './member.store.js'

/**
 * An account (a UUID) that the caller may be shown, or null: its own, and, to OWNER and ADMIN, those of their companies.
 * Throws REGION_UNAVAILABLE.
 */
export async function getAccount(
  deps: Pick<MemberDeps, 'control' | 'facts'>,
  viewer: Viewer,
  userId: string,
): Promise<Account | null> {
  if (viewer.kind !== 'user' && viewer.kind !== 'staff') return null
  if (viewer.user.id === userId) return viewer.user
  // Staff look into the list of a company's members, where it is written down that they did.
  if (viewer.kind === 'staff' || visibleCompanies(viewer).length === 0) return null
  const administered = viewer.memberships.filter(({ role }) => role === 'OWNER' || role === 'ADMIN')
  if (administered.length === 0) return null
  const reaches = await findReaches(deps, viewer, 'members', null)
  for (const { companyId } of reaches) {
    const [member] = await orControlUnavailable(() => readMembers(deps.control, companyId, userId))
    if (member !== undefined) return member.user
  }
  return null
}
