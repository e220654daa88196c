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

export type { DirectoryLoader, DirectoryLoaderDeps } from './entity-batch.js'

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
export const createDirectoryLoaders = (deps: DirectoryLoaderDeps): DirectoryLoaders => new LazyDirectoryLoaders(deps)

/** Each loader is made when it is first asked for: most requests ask for none, and recording must not pay for them. */
class LazyDirectoryLoaders implements DirectoryLoaders {
  readonly #deps: DirectoryLoaderDeps
  #company: CompanyLoader | undefined
  #workspace: WorkspaceLoader | undefined
  #project: ProjectLoader | undefined
  #apiKey: ApiKeyLoader | undefined
  #workspacesOfCompany: WorkspaceListLoader | undefined
  #projectsOfWorkspace: ProjectListLoader | undefined

  constructor(deps: DirectoryLoaderDeps) {
    this.#deps = deps
  }

  get company(): CompanyLoader {
    return (this.#company ??= companyLoader(this.#deps))
  }

  get workspace(): WorkspaceLoader {
    return (this.#workspace ??= workspaceLoader(this.#deps, this.company))
  }

  get project(): ProjectLoader {
    return (this.#project ??= projectLoader(this.#deps))
  }

  get apiKey(): ApiKeyLoader {
    return (this.#apiKey ??= apiKeyLoader(this.#deps))
  }

  get workspacesOfCompany(): WorkspaceListLoader {
    return (this.#workspacesOfCompany ??= workspacesOfCompanyLoader(this.#deps, this.company))
  }

  get projectsOfWorkspace(): ProjectListLoader {
    return (this.#projectsOfWorkspace ??= projectsOfWorkspaceLoader(this.#deps))
  }
}
