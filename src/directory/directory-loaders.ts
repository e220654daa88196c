import { apiKeyLoader, type ApiKeyLoader } from './api-key.loader.js'
import { companyLoader, type CompanyLoader } from './company.loader.js'
import type { DirectoryLoaderDeps } from './entity-batch.js'
import {
  projectLoader,
  projectsOfWorkspaceLoader,
  type ProjectListLoader,
  type ProjectLoader,
} from './project.loader.js'
import {
  workspaceLoader,
  workspacesOfCompanyLoader,
  type WorkspaceListLoader,
  type WorkspaceLoader,
} from './workspace.loader.js'

export type { DirectoryLoaderDeps } from './entity-batch.js'

/** The look-ups of one request, by UUID. What the caller's companies don't own is null, or an empty list. */
export interface DirectoryLoaders {
  readonly company: CompanyLoader
  readonly workspace: WorkspaceLoader
  readonly project: ProjectLoader
  readonly apiKey: ApiKeyLoader
  readonly workspacesOfCompany: WorkspaceListLoader
  readonly projectsOfWorkspace: ProjectListLoader
}

/** Fresh loaders for one request, for callers of the companies `deps.companies`. */
export function createDirectoryLoaders(deps: DirectoryLoaderDeps): DirectoryLoaders {
  const company = companyLoader(deps)
  return {
    company,
    workspace: workspaceLoader(deps, company),
    project: projectLoader(deps),
    apiKey: apiKeyLoader(deps),
    workspacesOfCompany: workspacesOfCompanyLoader(deps, company),
    projectsOfWorkspace: projectsOfWorkspaceLoader(deps),
  }
}
