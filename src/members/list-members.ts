import { requireCompanyReader } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { orControlUnavailable } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import { notFound } from '../kernel/domain-error.js'
import { type MemberRecord, readMembers } from './member.store.js'

export interface MemberDeps {
  readonly control: Database
  readonly facts: ControlFacts
  readonly clock: Clock
}

/**
 * The people of a company, oldest first. `companyId` (UUID) may be left out by who is of one company. UNAUTHENTICATED,
 * FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, REGION_UNAVAILABLE.
 */
export async function listMembers(
  deps: MemberDeps,
  viewer: Viewer,
  companyId: string | null,
): Promise<readonly MemberRecord[]> {
  const reach = await requireCompanyReader(deps, viewer, 'members', companyId)
  return orControlUnavailable(() => readMembers(deps.control, reach.companyId, null))
}

/** One of them, just changed. NOT_FOUND where somebody removed it since. */
export async function getMember(deps: MemberDeps, companyId: string, userId: string): Promise<MemberRecord> {
  const [member] = await orControlUnavailable(() => readMembers(deps.control, companyId, userId))
  if (member === undefined) throw notFound('Member')
  return member
}
