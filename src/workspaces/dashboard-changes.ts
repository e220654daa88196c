import type { KeyObject } from 'node:crypto'
import type { AdminActor } from '../admin-log/admin-entry.js'
import { newApiKey } from '../auth/api-key.js'
import { admitSession, admitToCompany, admitToWorkspace } from '../auth/permissions.js'
import type { SessionViewer, Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import { findApiKey, listApiKeys, type ApiKeyRecord } from '../directory/api-key.store.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { CompanyFacts, ProjectFacts, WorkspaceFacts } from '../directory/facts.js'
import { withControl } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import { notFound } from '../kernel/domain-error.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import { createApiKey, type CreateApiKeyInput } from './create-api-key.js'
import { createCompany, type CreateCompanyInput } from './create-company.js'
import { createProject, type CreateProjectInput } from './create-project.js'
import { createWorkspace, type CreateWorkspaceInput } from './create-workspace.js'
import { revokeApiKey } from './revoke-api-key.js'
import { findReach } from '../auth/permissions.js'

/**
 * What people do at the dashboard with operations that the service itself uses too: who may is decided here, the rest is
 * theirs. All of them throw UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, NOT_FOUND, and what the operation throws.
 */
export interface DashboardDeps {
  readonly control: Database
  readonly facts: ControlFacts
  readonly secrets: ControlSecrets
  readonly pepper: KeyObject
  readonly clock: Clock
}

/** The newest keys a list shows. */
export const API_KEYS_LISTED_MAX = 1_000

const actorOf = (viewer: SessionViewer): AdminActor => ({ kind: 'user', userId: viewer.user.id })

export async function createCompanyAs(
  deps: DashboardDeps,
  viewer: Viewer,
  input: CreateCompanyInput,
): Promise<CompanyFacts> {
  return createCompany(deps, input, actorOf(admitSession(viewer, 'createCompany')))
}

export async function createWorkspaceAs(
  deps: DashboardDeps,
  viewer: Viewer,
  input: CreateWorkspaceInput,
): Promise<WorkspaceFacts> {
  return createWorkspace(deps, input, actorOf(admitToCompany(viewer, 'createWorkspace', input.companyId)))
}

export async function createProjectAs(
  deps: DashboardDeps,
  viewer: Viewer,
  input: CreateProjectInput,
): Promise<ProjectFacts> {
  // Whoever may not do it anywhere isn't told whether the workspace exists.
  admitSession(viewer, 'createProject')
  const workspace = await deps.facts.workspace(input.workspaceId)
  return createProject(deps, input, actorOf(admitToWorkspace(viewer, 'createProject', workspace)))
}

export async function createApiKeyAs(
  deps: DashboardDeps,
  viewer: Viewer,
  input: CreateApiKeyInput,
): Promise<{ readonly apiKey: ApiKeyRecord; readonly secret: string }> {
  const session = admitToCompany(viewer, 'createApiKey', input.companyId)
  return createApiKey(deps, input, newApiKey(input.scope), actorOf(session))
}

export async function revokeApiKeyAs(
  deps: DashboardDeps,
  viewer: Viewer,
  input: { readonly apiKeyId: string; readonly reason: string | null },
): Promise<ApiKeyRecord> {
  admitSession(viewer, 'revokeApiKey')
  const key = await withControl(deps.control, (em) => findApiKey(em, input.apiKeyId))
  if (key === null) throw notFound('API key')
  return revokeApiKey(deps, input, actorOf(admitToCompany(viewer, 'revokeApiKey', key.companyId, 'API key')))
}

/** The newest keys of a company, revoked ones too, newest first. `companyId` as for findReach. */
export async function listCompanyApiKeys(
  deps: Pick<DashboardDeps, 'control' | 'facts'>,
  viewer: Viewer,
  companyId: string | null,
): Promise<readonly ApiKeyRecord[]> {
  const reach = await findReach(deps, viewer, 'apiKeys', companyId)
  if (reach === null) throw notFound('Company')
  return withControl(deps.control, (em) => listApiKeys(em, reach.companyId, API_KEYS_LISTED_MAX))
}
