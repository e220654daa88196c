import { LockMode } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { type CompanyVisibility, visibleRows } from './company-visibility.js'
import { Workspace, type WorkspaceRow } from './workspace.entity.js'

export const findWorkspaceRow = (em: SqlEntityManager, id: string): Promise<WorkspaceRow | null> =>
  em.findOne(Workspace, { id })

export const findWorkspaceBySlug = (
  em: SqlEntityManager,
  companyId: string,
  slug: string,
): Promise<WorkspaceRow | null> => em.findOne(Workspace, { companyId, slug })

/** Those of these ids that the companies own, in no particular order. */
export const findWorkspaces = (
  em: SqlEntityManager,
  ids: readonly string[],
  companies: CompanyVisibility,
): Promise<WorkspaceRow[]> => em.find(Workspace, { id: { $in: [...ids] }, ...visibleRows(companies) })

/** The workspaces of companies, oldest first, archived ones too. */
export const listWorkspaces = (em: SqlEntityManager, companyIds: readonly string[]): Promise<WorkspaceRow[]> =>
  em.find(Workspace, { companyId: { $in: [...companyIds] } }, { orderBy: { createdAt: 'asc', id: 'asc' } })

/** Changes a workspace, and with the same call nothing of its events. Fails with a unique violation for a taken slug. */
export async function updateWorkspaceRow(
  em: SqlEntityManager,
  id: string,
  changes: Partial<Pick<WorkspaceRow, 'name' | 'slug' | 'retentionDays' | 'status'>>,
): Promise<void> {
  await em.nativeUpdate(Workspace, { id }, changes)
}

/** A workspace, locked until the transaction ends. */
export const lockWorkspaceRow = (em: SqlEntityManager, id: string): Promise<WorkspaceRow | null> =>
  em.findOne(Workspace, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE })

/** Fails with a unique violation where the company has the slug already. */
export async function insertWorkspace(em: SqlEntityManager, workspace: WorkspaceRow): Promise<void> {
  await em.insert(Workspace, workspace)
}
