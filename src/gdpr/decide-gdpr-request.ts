import { changeControl, type ControlChange } from '../admin-log/change-control.js'
import { admitToCompany } from '../auth/permissions.js'
import type { Operation } from '../auth/permission-table.js'
import type { SessionViewer } from '../auth/viewer.js'
import { DatabaseError } from '../db/database-error.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import { validKeptReason } from '../kernel/plain-text.js'
import { roleNow } from '../members/member-rules.js'
import { lockRoles } from '../members/member.store.js'
import { legalHold } from './create-gdpr-request.js'
import type { GdprDeps } from './gdpr-deps.js'
import { nextStatus, refuseSelfApproval } from './gdpr-request.js'
import {
  closeSubject,
  findGdprRequest,
  findSealedRequest,
  type GdprRequestRecord,
  insertApproval,
  type LockedGdprRequest,
  lockGdprRequest,
  moveGdprRequest,
} from './gdpr-request.store.js'
import { isHeld } from './legal-hold.store.js'
import { openSubject } from './sealed-subject.js'
import { type SubjectTags, subjectTags } from './subject.js'

/**
 * Agrees to a request: somebody of the company who did not ask for it gives the customer's approval, staff the admin's,
 * in that order. NOT_FOUND (also another company's), FORBIDDEN, INVALID_TRANSITION, SELF_APPROVAL, LEGAL_HOLD,
 * REGION_UNAVAILABLE. `id` is a UUID.
 */
export async function approveGdprRequest(
  deps: GdprDeps,
  viewer: SessionViewer,
  id: string,
): Promise<GdprRequestRecord> {
  const approvalType = viewer.kind === 'staff' ? 'ADMIN_APPROVAL' : 'CUSTOMER_APPROVAL'
  const tags = await tagsOfSubject(deps, viewer, 'approveGdprRequest', id)
  await decide(deps, viewer, 'approveGdprRequest', id, async (request, { tx, log }) => {
    const to = nextStatus(request.status, approvalType)
    refuseSelfApproval(request, approvalType, viewer.user.id)
    if (tags !== null && (await isHeld(tx, request.companyId, tags))) throw legalHold()
    await insertApproval(tx, request, { approvalType, approvedBy: viewer.user.id, createdAt: deps.clock.now() })
    await move(request, tx, to)
    log(entry(request, viewer, approvalType === 'ADMIN_APPROVAL' ? 'admin_approved' : 'customer_approved', {}))
  }).catch((error: unknown) => {
    // The database's own rules, should ours ever let somebody through.
    if (error instanceof DatabaseError && isOwnApproval(error))
      throw new DomainError('SELF_APPROVAL', 'Nobody approves a request of their own, or the same request twice.', {
        cause: error,
      })
    throw error
  })
  return getRecord(deps, id)
}

const isOwnApproval = ({ constraint }: DatabaseError): boolean =>
  constraint === 'gdpr_approval_four_eyes' || constraint === 'gdpr_approval_request_id_approved_by_key'

/**
 * Refuses a request that nobody has begun to carry out. The reason is kept for ever and shown: it must not name the
 * subject. Errors as for {@link approveGdprRequest}, and BAD_USER_INPUT.
 */
export async function rejectGdprRequest(
  deps: GdprDeps,
  viewer: SessionViewer,
  input: { readonly id: string; readonly reason: string },
): Promise<GdprRequestRecord> {
  const reason = validKeptReason(input.reason, 'input.reason')
  await decide(deps, viewer, 'rejectGdprRequest', input.id, async (request, { tx, log }) => {
    const to = nextStatus(request.status, 'REJECT')
    await closeSubject(tx, request.id)
    await move(request, tx, to, reason)
    log(entry(request, viewer, 'rejected', { reason }))
  })
  return getRecord(deps, input.id)
}

/** Lets a request that failed go on from where it stopped. Staff. Errors as for {@link approveGdprRequest}. */
export async function retryGdprRequest(deps: GdprDeps, viewer: SessionViewer, id: string): Promise<GdprRequestRecord> {
  await decide(deps, viewer, 'retryGdprRequest', id, async (request, { tx, log }) => {
    await move(request, tx, nextStatus(request.status, 'RETRY'))
    log(entry(request, viewer, 'retried', {}))
  })
  return getRecord(deps, id)
}

/** The tags of the request's subject; null where it is over. Says who may not know of it before anything else. */
async function tagsOfSubject(
  deps: GdprDeps,
  viewer: SessionViewer,
  operation: Operation,
  id: string,
): Promise<SubjectTags | null> {
  const sealed = await orControlUnavailable(() => findSealedRequest(deps.control, id))
  if (sealed === null) throw notFound('GDPR request')
  admitToCompany(viewer, operation, sealed.companyId, 'GDPR request')
  const subject = await openSubject(deps, sealed)
  return subject && subjectTags(await deps.facts.tagKey(sealed.companyId), subject)
}

async function decide(
  deps: GdprDeps,
  viewer: SessionViewer,
  operation: Operation,
  id: string,
  decision: (request: LockedGdprRequest, change: ControlChange) => Promise<void>,
): Promise<void> {
  await changeControl(deps, async (change) => {
    const request = await lockGdprRequest(change.tx, id)
    if (request === null) throw notFound('GDPR request')
    const session = admitToCompany(viewer, operation, request.companyId, 'GDPR request')
    if (session.kind === 'user') roleNow(session, operation, await lockRoles(change.tx, request.companyId))
    await decision(request, change)
  })
}

async function move(
  request: LockedGdprRequest,
  tx: ControlChange['tx'],
  to: ReturnType<typeof nextStatus>,
  failure: string | null = null,
): Promise<void> {
  if (!(await moveGdprRequest(tx, { id: request.id, from: request.status, to, failure })))
    throw new DomainError('CONFLICT', 'The request has just been changed by somebody else.')
}

const entry = (
  request: LockedGdprRequest,
  viewer: SessionViewer,
  what: string,
  payload: Readonly<Record<string, string>>,
) =>
  ({
    companyId: request.companyId,
    actor: { kind: 'user', userId: viewer.user.id },
    action: `gdpr_request.${what}`,
    category: 'privacy',
    target: { type: 'gdpr_request', id: encodeId('gdprRequest', request.id) },
    payload,
  }) as const

async function getRecord({ control }: GdprDeps, id: string): Promise<GdprRequestRecord> {
  const record = await orControlUnavailable(() => findGdprRequest(control, id))
  if (record === null) throw notFound('GDPR request')
  return record
}
