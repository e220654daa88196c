import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { type CompanyVisibility, visibleRows } from './company-visibility.js'
import { Project, type ProjectRow } from './project.entity.js'

export const findProjectBySlug = (
  em: SqlEntityManager,
  workspaceId: string,
  slug: string,
): Promise<ProjectRow | null> => em.findOne(Project, { workspaceId, slug })

/** Those of these ids that the companies own, in no particular order. */
export const findProjects = (
  em: SqlEntityManager,
  ids: readonly string[],
  companies: CompanyVisibility,
): Promise<ProjectRow[]> => em.find(Project, { id: { $in: [...ids] }, ...visibleRows(companies) })

/** The projects of workspaces, oldest first. */
export const listProjects = (
  em: SqlEntityManager,
  workspaceIds: readonly string[],
  companies: CompanyVisibility,
): Promise<ProjectRow[]> =>
  em.find(
    Project,
    { workspaceId: { $in: [...workspaceIds] }, ...visibleRows(companies) },
    { orderBy: { createdAt: 'asc', id: 'asc' } },
  )

/** Fails with a unique violation where the workspace has the slug already. */
export async function insertProject(em: SqlEntityManager, project: ProjectRow): Promise<void> {
  await em.insert(Project, project)
}
