import { type AdminActor, systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import type { Database } from '../db/database.js'
import type { ProjectFacts } from '../directory/facts.js'
import { insertProject } from '../directory/project.store.js'
import { withControl } from '../directory/with-control.js'
import { findWorkspaceRow } from '../directory/workspace.store.js'
import type { Clock } from '../kernel/clock.js'
import { DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { storeUnderSlug, validName } from './naming.js'

export interface CreateProjectInput {
  /** UUID. */
  readonly workspaceId: string
  readonly name: string
  /** Made from the name where absent. */
  readonly slug?: string | null | undefined
}

/** Makes a project. `BAD_USER_INPUT`, `NOT_FOUND` (workspace), `WORKSPACE_ARCHIVED`, `CONFLICT` (slug), `REGION_UNAVAILABLE`. */
export async function createProject(
  deps: { readonly control: Database; readonly clock: Clock },
  input: CreateProjectInput,
  actor: AdminActor = systemActor,
): Promise<ProjectFacts> {
  const name = validName(input.name, 'name')
  const workspace = await withControl(deps.control, (em) => findWorkspaceRow(em, input.workspaceId))
  if (workspace === null) throw notFound('Workspace')
  if (workspace.status === 'ARCHIVED')
    throw new DomainError('WORKSPACE_ARCHIVED', 'This workspace is archived: it takes no new projects.')
  const createdAt = deps.clock.now()
  const { id: workspaceId, companyId } = workspace
  return storeUnderSlug({ slug: input.slug, name, fallback: 'project' }, async (slug) => {
    const project = { id: newUuid(createdAt.getTime()), companyId, workspaceId, name, slug, createdAt }
    await changeControl(deps, async ({ em, log }) => {
      await insertProject(em, project)
      log({
        companyId,
        actor,
        action: 'project.created',
        category: 'project',
        target: { type: 'project', id: encodeId('project', project.id) },
        payload: { name, slug, workspace: encodeId('workspace', workspaceId) },
      })
    })
    return project
  })
}
