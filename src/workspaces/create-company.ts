import { type AdminActor, systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import type { Database } from '../db/database.js'
import { insertCompany } from '../directory/company.store.js'
import type { CompanyFacts } from '../directory/facts.js'
import type { Clock } from '../kernel/clock.js'
import { badInput } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { isRegion, type Region } from '../kernel/region.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import { storeUnderSlug, validName, validRetentionDays } from './naming.js'

const RETENTION_DAYS_DEFAULT = 365
const DATA_REGION_DEFAULT: Region = 'AU'

export interface CreateCompanyInput {
  readonly name: string
  /** Made from the name where absent. */
  readonly slug?: string | null | undefined
  /** AU where absent. */
  readonly dataRegion?: Region | null | undefined
  readonly replicateTo?: readonly Region[] | null | undefined
  /** 365 where absent. */
  readonly retentionDays?: number | null | undefined
}

/**
 * Makes a company with a tag key of its own, and begins its admin log. `BAD_USER_INPUT`, `CONFLICT` (slug),
 * `REGION_UNAVAILABLE`.
 */
export async function createCompany(
  deps: { readonly control: Database; readonly secrets: ControlSecrets; readonly clock: Clock },
  input: CreateCompanyInput,
  actor: AdminActor = systemActor,
): Promise<CompanyFacts> {
  const name = validName(input.name, 'name')
  const dataRegion = input.dataRegion ?? DATA_REGION_DEFAULT
  const replicateTo = validReplicas(dataRegion, input.replicateTo ?? [])
  const retentionDays = validRetentionDays(input.retentionDays ?? RETENTION_DAYS_DEFAULT, 'retentionDays')
  const createdAt = deps.clock.now()
  const id = newUuid(createdAt.getTime())
  const tagKeySealed = deps.secrets.newTagKey(id)
  return storeUnderSlug({ slug: input.slug, name, fallback: 'company' }, async (slug) => {
    const company = { id, name, slug, dataRegion, replicateTo, retentionDays, createdAt }
    await changeControl(deps, async ({ em, log }) => {
      await insertCompany(em, { ...company, tagKeySealed })
      log({
        companyId: id,
        actor,
        action: 'company.created',
        category: 'company',
        target: { type: 'company', id: encodeId('company', id) },
        payload: { name, slug, dataRegion, replicateTo: [...replicateTo], retentionDays },
      })
    })
    return company
  })
}

/** The regions that keep replicas: not the primary, none twice. `BAD_USER_INPUT` naming the field. */
export function validReplicas(
  primary: Region,
  replicateTo: readonly Region[],
  field = 'replicateTo',
): readonly Region[] {
  if (replicateTo.some((region) => !isRegion(region))) throw badInput(field, 'must hold regions only.')
  if (replicateTo.includes(primary)) throw badInput(field, `must not hold the primary region, ${primary}.`)
  if (new Set(replicateTo).size !== replicateTo.length) throw badInput(field, 'must not hold a region twice.')
  return replicateTo
}
