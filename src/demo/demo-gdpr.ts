import type { SessionViewer } from '../auth/viewer.js'
import type { CompanyRole } from '../directory/app-user.entity.js'
import { findUserByEmail } from '../directory/app-user.store.js'
import { withControl } from '../directory/with-control.js'
import { createGdprRequest } from '../gdpr/create-gdpr-request.js'
import { approveGdprRequest } from '../gdpr/decide-gdpr-request.js'
import type { GdprDeps } from '../gdpr/gdpr-deps.js'
import { encodeId } from '../kernel/ids.js'
import type { MadeCompany } from './demo-directory.js'
import { castOf } from './demo-events.js'

const SHOWN_COMPANY = 'acme-corp'

/**
 * Two requests of data subjects at Acme, so that there is something to decide: one that somebody of the company has to
 * agree to, and one that waits for staff. What is there already is not made again.
 */
export async function makeDemoRequests(deps: GdprDeps, companies: readonly MadeCompany[]): Promise<void> {
  const company = companies.find(({ plan }) => plan.slug === SHOWN_COMPANY)
  if (company === undefined) return
  const [admin, owner] = await Promise.all([viewerOf(deps, company, 'ADMIN'), viewerOf(deps, company, 'OWNER')])
  const [waiting, agreed] = castOf(SHOWN_COMPANY)
  const ask = (actorEmail: string, requestType: 'ANONYMIZE' | 'DELETE') =>
    createGdprRequest(deps, admin, { companyId: company.id, requestType, actorEmail, reason: 'Asked for by e-mail.' })
  await ask(waiting!.email, 'DELETE')
  const { request } = await ask(agreed!.email, 'ANONYMIZE')
  if (request.status === 'CUSTOMER_PENDING') await approveGdprRequest(deps, owner, request.id)
}

/** Somebody of the company, as if at the dashboard. */
async function viewerOf(
  deps: GdprDeps,
  { id: companyId, plan }: MadeCompany,
  role: CompanyRole,
): Promise<SessionViewer> {
  const { email } = plan.users.find((user) => user.role === role)!
  const user = await withControl(deps.control, (em) => findUserByEmail(em, email))
  if (user === null)
    throw new Error(`The ${role} of ${encodeId('company', companyId)} is missing right after it was made.`)
  const now = deps.clock.now()
  return {
    kind: 'user',
    session: { id: user.id, createdAt: now, expiresAt: now },
    user: { id: user.id, email, name: user.name ?? null, createdAt: user.createdAt },
    memberships: [{ companyId, role, workspaceIds: null }],
  }
}
