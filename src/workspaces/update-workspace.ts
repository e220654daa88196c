import { changeControl } from '../admin-log/change-control.js'
import { admitToWorkspace } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { DatabaseError } from '../db/database-error.js'
import type { Database } from '../db/database.js'
import { findCompany } from '../directory/company.store.js'
import type { ControlFacts, WorkspaceFacts } from '../directory/control-facts.js'
import { lockWorkspaceRow, updateWorkspaceRow } from '../directory/workspace.store.js'
import type { Clock } from '../kernel/clock.js'
import { DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import { validName, validRetentionDays, validSlug } from './naming.js'

export interface WorkspaceAdminDeps {
  readonly control: Database
  readonly facts: ControlFacts
  readonly clock: Clock
}

export interface UpdateWorkspaceInput {
  /** UUID. */
  readonly workspaceId: string
  /** What is absent or null stays. */
  readonly name?: string | null | undefined
  readonly slug?: string | null | undefined
  /** Absent: stays. Null: the company's from now on. */
  readonly retentionDays?: number | null | undefined
}

/**
 * Changes a workspace's name, slug or retention. Its region is for good. `UNAUTHENTICATED`, `FORBIDDEN`, `NOT_FOUND`,
 * `BAD_USER_INPUT`, `CONFLICT` (slug), `REGION_UNAVAILABLE`.
 */
export async function updateWorkspace(
  deps: WorkspaceAdminDeps,
  viewer: Viewer,
  input: UpdateWorkspaceInput,
): Promise<WorkspaceFacts> {
  const { workspaceId, retentionDays } = input
  const session = admitToWorkspace(viewer, 'updateWorkspace', await deps.facts.workspace(workspaceId))
  const changes = {
    ...(input.name == null ? {} : { name: validName(input.name, 'input.name') }),
    ...(input.slug == null ? {} : { slug: validSlug(input.slug, 'input.slug') }),
    ...(retentionDays === undefined
      ? {}
      : { retentionDays: retentionDays === null ? null : validRetentionDays(retentionDays, 'input.retentionDays') }),
  }
  return change(deps, session.user.id, workspaceId, 'workspace.updated', changes).catch((error: unknown) => {
    if (!(error instanceof DatabaseError) || error.kind !== 'unique_violation') throw error
    throw new DomainError('CONFLICT', 'The slug is taken.', { details: { field: 'input.slug' }, cause: error })
  })
}

/**
 * Closes a workspace: from now on nothing is recorded in it, its keys are refused with WORKSPACE_ARCHIVED, and its
 * events stay as they are and can be read. Closing it again changes nothing. Errors as for {@link updateWorkspace}.
 */
export async function archiveWorkspace(
  deps: WorkspaceAdminDeps,
  viewer: Viewer,
  workspaceId: string,
): Promise<WorkspaceFacts> {
  const session = admitToWorkspace(viewer, 'archiveWorkspace', await deps.facts.workspace(workspaceId))
  return change(deps, session.user.id, workspaceId, 'workspace.archived', { status: 'ARCHIVED' })
}

/** Opens an archived workspace again; its keys count as before. Errors as for {@link updateWorkspace}. */
export async function unarchiveWorkspace(
  deps: WorkspaceAdminDeps,
  viewer: Viewer,
  workspaceId: string,
): Promise<WorkspaceFacts> {
  const session = admitToWorkspace(viewer, 'unarchiveWorkspace', await deps.facts.workspace(workspaceId))
  return change(deps, session.user.id, workspaceId, 'workspace.unarchived', { status: 'ACTIVE' })
}

type Changes = Parameters<typeof updateWorkspaceRow>[2]

/** Makes changes and logs those that are any: what it was, and what it is. */
async function change(
  deps: WorkspaceAdminDeps,
  userId: string,
  workspaceId: string,
  action: string,
  wanted: Changes,
): Promise<WorkspaceFacts> {
  return changeControl(deps, async ({ em, log }) => {
    const before = await lockWorkspaceRow(em, workspaceId)
    const company = before === null ? null : await findCompany(em, before.companyId)
    if (before === null || company === null) throw notFound('Workspace')
    const names = (Object.keys(wanted) as (keyof Changes)[]).filter((name) => wanted[name] !== before[name])
    const payload = Object.fromEntries(names.map((name) => [name, { old: before[name], new: wanted[name] ?? null }]))
    const after = { ...before, ...wanted }
    if (names.length > 0) {
      await updateWorkspaceRow(em, workspaceId, wanted)
      const target = { type: 'workspace', id: encodeId('workspace', workspaceId) }
      log({
        companyId: before.companyId,
        actor: { kind: 'user', userId },
        action,
        category: 'workspace',
        target,
        payload,
      })
    }
    const { id, companyId, name, slug, dataRegion, status, createdAt } = after
    const retentionDays = after.retentionDays ?? company.retentionDays
    return { id, companyId, name, slug, dataRegion, retentionDays, status, createdAt }
  })
}
