import { type AdminActor, systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import type { Database } from '../db/database.js'
import { findCompany } from '../directory/company.store.js'
import type { WorkspaceFacts } from '../directory/facts.js'
import { withControl } from '../directory/with-control.js'
import { insertWorkspace } from '../directory/workspace.store.js'
import type { Clock } from '../kernel/clock.js'
import { notFound } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { storeUnderSlug, validName, validRetentionDays } from './naming.js'

export interface CreateWorkspaceInput {
  /** UUID. */
  readonly companyId: string
  readonly name: string
  /** Made from the name where absent. */
  readonly slug?: string | null | undefined
  /** Its home region for good; the company's where absent. */
  readonly dataRegion?: Region | null | undefined
  /** The company's where absent. */
  readonly retentionDays?: number | null | undefined
}

/**
 * Makes a workspace. Its chain begins with its first event. `BAD_USER_INPUT`, `NOT_FOUND` (company), `CONFLICT` (slug),
 * `REGION_UNAVAILABLE`.
 */
export async function createWorkspace(
  deps: { readonly control: Database; readonly clock: Clock },
  input: CreateWorkspaceInput,
  actor: AdminActor = systemActor,
): Promise<WorkspaceFacts> {
  const name = validName(input.name, 'name')
  const retentionDays =
    input.retentionDays === undefined || input.retentionDays === null
      ? null
      : validRetentionDays(input.retentionDays, 'retentionDays')
  const company = await withControl(deps.control, (em) => findCompany(em, input.companyId))
  if (company === null) throw notFound('Company')
  const createdAt = deps.clock.now()
  return storeUnderSlug({ slug: input.slug, name, fallback: 'workspace' }, async (slug) => {
    const workspace = {
      id: newUuid(createdAt.getTime()),
      companyId: company.id,
      name,
      slug,
      dataRegion: input.dataRegion ?? company.dataRegion,
      retentionDays,
      status: 'ACTIVE' as const,
      createdAt,
    }
    await changeControl(deps, async ({ em, log }) => {
      await insertWorkspace(em, workspace)
      log({
        companyId: company.id,
        actor,
        action: 'workspace.created',
        category: 'workspace',
        target: { type: 'workspace', id: encodeId('workspace', workspace.id) },
        payload: { name, slug, dataRegion: workspace.dataRegion, retentionDays },
      })
    })
    return { ...workspace, retentionDays: retentionDays ?? company.retentionDays }
  })
}
