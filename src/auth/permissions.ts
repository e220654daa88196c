import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import type { CompanyRole } from '../directory/app-user.entity.js'
import type { CompanyVisibility } from '../directory/company-visibility.js'
import type { ApiKeyFacts, CompanyFacts, ControlFacts, WorkspaceFacts } from '../directory/control-facts.js'
import { type Caller, isPermitted, type Operation, withoutTotp } from './permission-table.js'
import type { AnonymousViewer, Membership, SessionViewer, UserViewer, Viewer } from './viewer.js'

/**
 * Who may do what: the permission table, held against the caller. Ids are UUIDs. What belongs to another company is
 * answered as if it did not exist.
 */

const companyRoles: readonly CompanyRole[] = ['OWNER', 'ADMIN', 'MEMBER', 'VIEWER']

const callerOfKey = (key: ApiKeyFacts): Caller =>
  key.scope === 'COMPANY' ? 'COMPANY_KEY' : key.readOnly ? 'READ_ONLY_KEY' : 'WORKSPACE_KEY'

/**
 * Lets a caller through to an operation, as far as that can be said without knowing what it is about: a user passes
 * where one of its roles would do. Throws the refusal of nobody (UNAUTHENTICATED …), FORBIDDEN, TOTP_REQUIRED.
 */
export function admit(viewer: Viewer, operation: Operation): Viewer {
  switch (viewer.kind) {
    case 'anonymous':
      if (!isPermitted(operation, 'NOBODY')) throw viewer.refusal
      return viewer
    case 'apiKey': {
      const caller = callerOfKey(viewer.key)
      if (!isPermitted(operation, caller)) throw refusalOfKey(operation, caller)
      return viewer
    }
    case 'staff':
      if (viewer.mustEnrollTotp && !withoutTotp.has(operation))
        throw new DomainError('TOTP_REQUIRED', 'Staff need a second factor: enroll one with enrollTotp first.')
      if (!isPermitted(operation, viewer.staffRole))
        throw new DomainError('FORBIDDEN', `Staff of role ${viewer.staffRole} may not do this.`)
      return viewer
    case 'user':
      if (!companyRoles.some((role) => isPermitted(operation, role)))
        throw new DomainError('FORBIDDEN', 'Only staff may do this.')
      // Who may do it nowhere is not told whether what it names is there.
      if (viewer.memberships[0] !== undefined && !viewer.memberships.some(({ role }) => isPermitted(operation, role)))
        refuseRole(operation, viewer.memberships[0].role)
      return viewer
  }
}

function refusalOfKey(operation: Operation, caller: Caller): DomainError {
  if (!isPermitted(operation, 'WORKSPACE_KEY') && isPermitted(operation, 'COMPANY_KEY'))
    return new DomainError(
      'FORBIDDEN',
      'A workspace key reads the events of its own workspace only: ask workspaceEvents, or use a company key.',
    )
  if (!isPermitted(operation, 'WORKSPACE_KEY'))
    return new DomainError('FORBIDDEN', 'An API key may not do this: sign in at the dashboard.')
  return caller === 'READ_ONLY_KEY'
    ? new DomainError('FORBIDDEN', 'A read-only key cannot record events.')
    : new DomainError('FORBIDDEN', 'A company key cannot record events: use a key of the workspace.')
}

/** {@link admit} for what takes somebody, whoever it is. */
export function admitSomebody(viewer: Viewer, operation: Operation): Exclude<Viewer, AnonymousViewer> {
  const admitted = admit(viewer, operation)
  if (admitted.kind === 'anonymous') throw admitted.refusal
  return admitted
}

/** {@link admit} for what takes a person: whoever comes with an API key is FORBIDDEN. */
export function admitSession(viewer: Viewer, operation: Operation): SessionViewer {
  const admitted = admitSomebody(viewer, operation)
  if (admitted.kind === 'apiKey')
    throw new DomainError('FORBIDDEN', 'An API key may not do this: sign in at the dashboard.')
  return admitted
}

/**
 * A person who may do this in the company: staff by their staff role, others by their role there. Throws
 * UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, and NOT_FOUND, of `what`, for who is not of the company.
 */
export function admitToCompany(
  viewer: Viewer,
  operation: Operation,
  companyId: string,
  what = 'Company',
): SessionViewer {
  const admitted = admitSession(viewer, operation)
  if (admitted.kind === 'user') membershipFor(admitted, operation, companyId, what)
  return admitted
}

/**
 * As {@link admitToCompany}, for what is about one workspace: NOT_FOUND where a MEMBER or VIEWER does not see it.
 */
export function admitToWorkspace(
  viewer: Viewer,
  operation: Operation,
  workspace: { readonly id: string; readonly companyId: string } | null,
): SessionViewer {
  const admitted = admitSession(viewer, operation)
  if (workspace === null) throw notFound('Workspace')
  if (admitted.kind === 'staff') return admitted
  const membership = membershipFor(admitted, operation, workspace.companyId, 'Workspace')
  if (!reachesWorkspace(membership, workspace.id)) throw notFound('Workspace')
  return admitted
}

function membershipFor(viewer: UserViewer, operation: Operation, companyId: string, what: string): Membership {
  const membership = viewer.memberships.find((one) => one.companyId === companyId)
  if (membership === undefined) throw notFound(what)
  refuseRole(operation, membership.role)
  return membership
}

/** FORBIDDEN where a person of this role may not do it. */
export function refuseRole(operation: Operation, role: CompanyRole): void {
  if (!isPermitted(operation, role)) throw new DomainError('FORBIDDEN', `A ${role} of the company may not do this.`)
}

/** How far a caller sees in one company. */
export interface Reach {
  readonly companyId: string
  readonly company: CompanyFacts
  /** Null: all of the company's. */
  readonly workspaceIds: ReadonlySet<string> | null
}

/** True where a reach has a workspace in it; null, what belongs to the whole company, only where it has all. */
export const reachesWorkspace = (
  reach: { readonly workspaceIds: ReadonlySet<string> | null },
  workspaceId: string | null,
): boolean => reach.workspaceIds === null || (workspaceId !== null && reach.workspaceIds.has(workspaceId))

interface ReachDeps {
  readonly facts: Pick<ControlFacts, 'company' | 'workspace'>
}

/**
 * How far the caller may read in a company, or null where it is not of that company. `companyId` may be left out by a
 * key and by who is of one company only. Staff reading a company is written in the admin log first. Throws
 * UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, BAD_USER_INPUT (it must be given), REGION_UNAVAILABLE.
 */
export async function findReach(
  deps: ReachDeps,
  viewer: Viewer,
  operation: Operation,
  companyId: string | null,
): Promise<Reach | null> {
  const admitted = admitSomebody(viewer, operation)
  switch (admitted.kind) {
    case 'apiKey': {
      const { key } = admitted
      if (companyId !== null && companyId !== key.companyId) return null
      const workspaceIds = key.workspaceId === null ? null : new Set([key.workspaceId])
      return { companyId: key.companyId, company: key.company, workspaceIds }
    }
    case 'user': {
      const membership = chooseMembership(admitted, companyId)
      if (membership === null) return null
      refuseRole(operation, membership.role)
      const company = await deps.facts.company(membership.companyId)
      return company && { companyId: company.id, company, workspaceIds: membership.workspaceIds }
    }
    case 'staff': {
      if (companyId === null) throw badInput('companyId', 'must be given by staff.')
      const company = await deps.facts.company(companyId)
      if (company === null) return null
      await admitted.recordRead(operation, companyId)
      return { companyId, company, workspaceIds: null }
    }
  }
}

function chooseMembership({ memberships }: UserViewer, companyId: string | null): Membership | null {
  if (companyId !== null) return memberships.find((one) => one.companyId === companyId) ?? null
  if (memberships.length > 1) throw badInput('companyId', 'must be given: you are of several companies.')
  return memberships[0] ?? null
}

/**
 * How far the caller may read in each company that something could be of: its own, or all of several. Staff, who are of
 * none, name one: `companyId`, which others ignore; null names none.
 */
export async function findReaches(
  deps: ReachDeps,
  viewer: Viewer,
  operation: Operation,
  companyId: string | null,
): Promise<readonly Reach[]> {
  const admitted = admitSomebody(viewer, operation)
  if (admitted.kind === 'staff' && companyId === null) return []
  const companyIds =
    admitted.kind === 'user'
      ? admitted.memberships.map((one) => one.companyId)
      : [admitted.kind === 'staff' ? companyId : null]
  // A role that may not do it in one company is no reason to refuse what another allows.
  const allowed =
    admitted.kind === 'user' ? companyIds.filter((id) => mayInCompany(admitted, operation, id)) : companyIds
  const reaches = await Promise.all(allowed.map((id) => findReach(deps, viewer, operation, id)))
  return reaches.filter((reach) => reach !== null)
}

const mayInCompany = ({ memberships }: UserViewer, operation: Operation, companyId: string | null): boolean =>
  memberships.some((one) => one.companyId === companyId && isPermitted(operation, one.role))

/** {@link findReach}, with NOT_FOUND for another's company. */
export async function requireCompanyReader(
  deps: ReachDeps,
  viewer: Viewer,
  operation: Operation,
  companyId: string | null,
): Promise<Reach> {
  const reach = await findReach(deps, viewer, operation, companyId)
  if (reach === null) throw notFound('Company')
  return reach
}

/**
 * The workspace whose data the caller may read, and how far it sees beside it: that of a workspace key (which may leave
 * the id out), or one it reaches. Throws UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, NOT_FOUND, BAD_USER_INPUT (it must
 * be given), REGION_UNAVAILABLE.
 */
export async function requireWorkspaceReader(
  deps: ReachDeps,
  viewer: Viewer,
  operation: Operation,
  workspaceId: string | null,
): Promise<{ readonly reach: Reach; readonly workspace: WorkspaceFacts }> {
  const admitted = admitSomebody(viewer, operation)
  const own = admitted.kind === 'apiKey' ? admitted.key.workspace : null
  if (own !== null && (workspaceId ?? own.id) !== own.id) throw notFound('Workspace')
  if (own === null && workspaceId === null)
    throw badInput('workspaceId', admitted.kind === 'apiKey' ? 'must be given with a company key.' : 'must be given.')
  const workspace = own ?? (await deps.facts.workspace(workspaceId!))
  if (workspace === null) throw notFound('Workspace')
  const reach = await findReach(deps, viewer, operation, workspace.companyId)
  if (reach === null || !reachesWorkspace(reach, workspace.id)) throw notFound('Workspace')
  return { reach, workspace }
}

/** The companies of which the caller may be shown anything at all. */
export function visibleCompanies(viewer: Viewer): CompanyVisibility {
  switch (viewer.kind) {
    case 'anonymous':
      return []
    case 'apiKey':
      return [viewer.key.companyId]
    case 'user':
      return viewer.memberships.map(({ companyId }) => companyId)
    case 'staff':
      return 'all'
  }
}

/**
 * The workspace into which the caller may record: that of its workspace key. Whether it takes events now (status) is
 * for the operation to say. Throws UNAUTHENTICATED, FORBIDDEN (company key, read-only key, session).
 */
export function requireRecorder(viewer: Viewer): {
  readonly key: ApiKeyFacts
  readonly company: CompanyFacts
  readonly workspace: WorkspaceFacts
} {
  const admitted = admitSomebody(viewer, 'ingestEvents')
  if (admitted.kind !== 'apiKey' || admitted.key.workspace === null)
    throw new DomainError('FORBIDDEN', 'Events are recorded with a workspace key.')
  return { key: admitted.key, company: admitted.key.company, workspace: admitted.key.workspace }
}
