import type DataLoader from 'dataloader'
import { isVisible } from './company-visibility.js'
import type { CompanyLoader } from './company.loader.js'
import { directoryListLoader, type DirectoryLoader, directoryLoader, type DirectoryLoaderDeps } from './entity-batch.js'
import type { WorkspaceFacts } from './facts.js'
import type { WorkspaceRow } from './workspace.entity.js'
import { findWorkspaces, listWorkspaces } from './workspace.store.js'

export type WorkspaceLoader = DirectoryLoader<WorkspaceFacts>
export type WorkspaceListLoader = DataLoader<string, readonly WorkspaceFacts[]>

/** Workspaces of the caller's company by id. One query a batch, and the company's where it isn't loaded yet. */
export const workspaceLoader = (deps: DirectoryLoaderDeps, companies: CompanyLoader): WorkspaceLoader =>
  directoryLoader<WorkspaceFacts>(deps, {
    companyIdOf: (workspace) => workspace.companyId,
    peek: (id) => deps.facts.peekWorkspace(id),
    find: async (em, ids, visible) => {
      const rows = await findWorkspaces(em, ids, visible)
      const found = await withRetention(rows, companies)
      return new Map(found.map((workspace) => [workspace.id, workspace]))
    },
  })

/** The workspaces of companies by the company's id, oldest first, archived ones too. */
export const workspacesOfCompanyLoader = (deps: DirectoryLoaderDeps, companies: CompanyLoader): WorkspaceListLoader =>
  directoryListLoader<WorkspaceFacts>(
    deps,
    (workspace) => workspace.companyId,
    async (em, ownerIds, visible) => {
      const companyIds = ownerIds.filter((id) => isVisible(visible, id))
      const rows = companyIds.length === 0 ? [] : await listWorkspaces(em, companyIds)
      return withRetention(rows, companies)
    },
  )

async function withRetention(rows: readonly WorkspaceRow[], companies: CompanyLoader): Promise<WorkspaceFacts[]> {
  return Promise.all(
    rows.map(async (row) => ({
      id: row.id,
      companyId: row.companyId,
      name: row.name,
      slug: row.slug,
      dataRegion: row.dataRegion,
      retentionDays: row.retentionDays ?? (await companyRetention(row, companies)),
      status: row.status,
      createdAt: row.createdAt,
    })),
  )
}

async function companyRetention(row: WorkspaceRow, companies: CompanyLoader): Promise<number> {
  const company = await companies.load(row.companyId)
  if (company === null) throw new Error('A workspace belongs to no company.')
  return company.retentionDays
}
