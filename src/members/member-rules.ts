import type { CompanyRole } from '../directory/app-user.entity.js'
import { refuseRole } from '../auth/permissions.js'
import type { Operation } from '../auth/permission-table.js'
import type { SessionViewer } from '../auth/viewer.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { seesAll } from './member.store.js'

/** People of one company. */
export const MEMBERS_MAX = 500
/** Workspaces that one MEMBER or VIEWER is let into one by one. */
export const MEMBER_WORKSPACES_MAX = 500

/**
 * The caller's role in the company as it is now, under the lock; null for staff. Throws NOT_FOUND where the caller has
 * left since the request came, FORBIDDEN where its role has changed to one that may not.
 */
export function roleNow(
  viewer: SessionViewer,
  operation: Operation,
  roles: ReadonlyMap<string, CompanyRole>,
): CompanyRole | null {
  if (viewer.kind === 'staff') return null
  const role = roles.get(viewer.user.id)
  if (role === undefined) throw notFound('Company')
  refuseRole(operation, role)
  return role
}

/** FORBIDDEN where an ADMIN would make an OWNER, or change one: only an OWNER may. Staff may make the first. */
export function refuseOwnersTo(own: CompanyRole | null, ...concerned: readonly (CompanyRole | undefined)[]): void {
  if (own === 'ADMIN' && concerned.includes('OWNER'))
    throw new DomainError('FORBIDDEN', 'Only an OWNER may make, change or remove an OWNER.')
}

/** CONFLICT where the company would be left without an OWNER. `roles` are locked. */
export function refuseLosingLastOwner(roles: ReadonlyMap<string, CompanyRole>, userId: string): void {
  if (roles.get(userId) !== 'OWNER') return
  const owners = [...roles.values()].filter((role) => role === 'OWNER').length
  if (owners === 1)
    throw new DomainError('CONFLICT', 'The last OWNER of a company stays: transfer the ownership first.')
}

/** The workspaces a role comes with, without doubles. BAD_USER_INPUT for some where all are seen, or too many. */
export function validWorkspaceIds(role: CompanyRole, ids: readonly string[], field: string): readonly string[] {
  if (ids.length === 0) return []
  if (seesAll(role)) throw badInput(field, `must be left out: an ${role} sees every workspace.`)
  if (ids.length > MEMBER_WORKSPACES_MAX)
    throw badInput(field, `must hold at most ${MEMBER_WORKSPACES_MAX} workspaces.`)
  return [...new Set(ids)]
}
