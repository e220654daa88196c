import { changeControl } from '../admin-log/change-control.js'
import { admitToCompany } from '../auth/permissions.js'
import type { SessionViewer } from '../auth/viewer.js'
import { notFound } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { validKeptReason } from '../kernel/plain-text.js'
import { equalityTag } from '../sealing/tags.js'
import type { GdprDeps } from './gdpr-deps.js'
import { insertLegalHold, releaseLegalHolds } from './legal-hold.store.js'
import { validIdentifiers } from './subject.js'

export interface SetLegalHoldInput {
  /** UUID. */
  readonly companyId: string
  /** Without both, the whole company. */
  readonly actorId?: string | null | undefined
  readonly actorEmail?: string | null | undefined
  readonly active: boolean
  /** Kept for ever. */
  readonly reason: string
}

/** What is in force now. */
export interface LegalHold {
  readonly companyId: string
  readonly scope: 'COMPANY' | 'SUBJECT'
  readonly active: boolean
}

/**
 * Puts a hold on a company, or on one subject of it: nothing of that is erased until it is released. Staff. FORBIDDEN,
 * NOT_FOUND, BAD_USER_INPUT, REGION_UNAVAILABLE.
 */
export async function setLegalHold(
  deps: GdprDeps,
  viewer: SessionViewer,
  input: SetLegalHoldInput,
): Promise<LegalHold> {
  const { companyId, active } = input
  const session = admitToCompany(viewer, 'setLegalHold', companyId)
  const reason = validKeptReason(input.reason, 'input.reason')
  if ((await deps.facts.company(companyId)) === null) throw notFound('Company')
  const ofCompany = !input.actorId?.trim() && !input.actorEmail?.trim()
  const { actorId, actorEmail } = ofCompany ? { actorId: null, actorEmail: null } : validIdentifiers(input)
  const tagKey = await deps.facts.tagKey(companyId)
  const subject = {
    actorIdTag: actorId === null ? null : equalityTag(tagKey, 'actor.id', actorId),
    actorEmailTag: actorEmail === null ? null : equalityTag(tagKey, 'actor.email', actorEmail),
  }
  const scope = ofCompany ? 'COMPANY' : 'SUBJECT'
  await changeControl(deps, async ({ tx, log }) => {
    const now = deps.clock.now()
    const id = newUuid(now.getTime())
    const createdBy = session.user.id
    // A hold takes the place of one before it on the same.
    const released = await releaseLegalHolds(tx, companyId, subject, now)
    if (active) await insertLegalHold(tx, { id, companyId, ...subject, reason, createdBy, createdAt: now })
    if (active || released > 0)
      log({
        companyId,
        actor: { kind: 'user', userId: session.user.id },
        action: active ? 'legal_hold.set' : 'legal_hold.released',
        category: 'privacy',
        target: { type: 'company', id: encodeId('company', companyId) },
        payload: { scope, reason },
      })
  })
  return { companyId, scope, active }
}
