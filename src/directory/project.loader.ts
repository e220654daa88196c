import type DataLoader from 'dataloader'
import { directoryListLoader, type DirectoryLoader, directoryLoader, type DirectoryLoaderDeps } from './entity-batch.js'
import type { ProjectFacts } from './facts.js'
import type { ProjectRow } from './project.entity.js'
import { findProjects, listProjects } from './project.store.js'

/** A project as it is read: its facts are all there is. */
export type ProjectRecord = ProjectFacts
export type ProjectLoader = DirectoryLoader<ProjectRecord>
export type ProjectListLoader = DataLoader<string, readonly ProjectRecord[]>

/** Projects of the caller's company by id. One query a batch. */
export const projectLoader = (deps: DirectoryLoaderDeps): ProjectLoader =>
  directoryLoader<ProjectRecord>(deps, {
    companyIdOf: (project) => project.companyId,
    peek: (id) => deps.facts.peekProject(id),
    find: async (em, ids, companies) => {
      const rows = await findProjects(em, ids, companies)
      return new Map(rows.map((row) => [row.id, projectOf(row)]))
    },
  })

/** The projects of workspaces by the workspace's id, oldest first. One query a batch. */
export const projectsOfWorkspaceLoader = (deps: DirectoryLoaderDeps): ProjectListLoader =>
  directoryListLoader<ProjectRecord>(
    deps,
    (project) => project.workspaceId,
    async (em, workspaceIds, companies) => (await listProjects(em, workspaceIds, companies)).map(projectOf),
  )

const projectOf = ({ id, companyId, workspaceId, name, slug, createdAt }: ProjectRow): ProjectRecord => ({
  id,
  companyId,
  workspaceId,
  name,
  slug,
  createdAt,
})
