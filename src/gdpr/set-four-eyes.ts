import { changeControl } from '../admin-log/change-control.js'
import { admitToCompany } from '../auth/permissions.js'
import type { SessionViewer } from '../auth/viewer.js'
import { DomainError } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import { roleNow } from '../members/member-rules.js'
import { lockRoles } from '../members/member.store.js'
import type { GdprDeps } from './gdpr-deps.js'
import { storeFourEyes } from './gdpr-request.store.js'

/**
 * Whether the customer's approval of a request has to be somebody else's than the requester's. Only the OWNER of a
 * company that has no other may do without, for the requests made from then on. FORBIDDEN, NOT_FOUND, CONFLICT (there
 * are several owners), REGION_UNAVAILABLE. `companyId` is a UUID.
 */
export async function setFourEyes(
  deps: Pick<GdprDeps, 'control' | 'clock'>,
  viewer: SessionViewer,
  input: { readonly companyId: string; readonly required: boolean },
): Promise<void> {
  const { companyId, required } = input
  const session = admitToCompany(viewer, 'setFourEyes', companyId)
  await changeControl(deps, async ({ tx, log }) => {
    const roles = await lockRoles(tx, companyId)
    roleNow(session, 'setFourEyes', roles)
    const owners = [...roles.values()].filter((role) => role === 'OWNER').length
    if (!required && owners !== 1)
      throw new DomainError('CONFLICT', 'A company with several owners keeps four eyes on its requests.')
    if (await storeFourEyes(tx, companyId, required))
      log({
        companyId,
        actor: { kind: 'user', userId: session.user.id },
        action: required ? 'company.four_eyes_on' : 'company.four_eyes_off',
        category: 'privacy',
        target: { type: 'company', id: encodeId('company', companyId) },
      })
  })
}
