import { changeControl } from '../admin-log/change-control.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import { lockCompany, setReplicas } from '../directory/company.store.js'
import type { CompanyFacts } from '../directory/facts.js'
import type { Clock } from '../kernel/clock.js'
import { badInput, notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { validReplicas } from './create-company.js'

/**
 * Says which regions keep replicas of a company's chains: all of them from then on. A region that is new is filled from
 * the beginning, one that is left out is purged, its keys destroyed; both in the background. A chain that lives in one
 * of them is not copied there. Staff. UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, NOT_FOUND, BAD_USER_INPUT (the primary
 * region, one named twice, one that is not configured), REGION_UNAVAILABLE.
 */
export async function setCompanyReplication(
  deps: { readonly control: Database; readonly registry: Pick<RegionRegistry, 'find'>; readonly clock: Clock },
  viewer: Viewer,
  input: {
    /** UUID. */
    readonly companyId: string
    readonly replicateTo: readonly Region[]
  },
): Promise<CompanyFacts> {
  const session = admitSession(viewer, 'setCompanyReplication')
  const { companyId } = input
  return changeControl(deps, async ({ em, log }) => {
    const company = await lockCompany(em, companyId)
    if (company === null) throw notFound('Company')
    const replicateTo = validReplicas(company.dataRegion, input.replicateTo, 'input.replicateTo')
    for (const region of replicateTo)
      // One that is there already may be taken out of service without having to be purged first.
      if (!company.replicateTo.includes(region) && deps.registry.find(region) === undefined)
        throw badInput('input.replicateTo', `must hold regions that are configured only; ${region} is not.`)
    if (replicateTo.join() === company.replicateTo.join()) return company
    await setReplicas(em, companyId, replicateTo)
    log({
      companyId,
      actor: { kind: 'user', userId: session.user.id },
      action: 'company.replication_set',
      category: 'company',
      target: { type: 'company', id: encodeId('company', companyId) },
      payload: { old: [...company.replicateTo], new: [...replicateTo] },
    })
    return { ...company, replicateTo }
  })
}
