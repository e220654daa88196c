import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'

export const gdprRequestTypes = ['ANONYMIZE', 'DELETE'] as const
export type GdprRequestType = (typeof gdprRequestTypes)[number]

export const gdprStatuses = [
  'CUSTOMER_PENDING',
  'CUSTOMER_APPROVED',
  'ADMIN_APPROVED',
  'PROCESSING',
  'DONE',
  'REJECTED',
  'FAILED',
] as const
export type GdprStatus = (typeof gdprStatuses)[number]

export const gdprApprovalTypes = ['CUSTOMER_APPROVAL', 'ADMIN_APPROVAL'] as const
export type GdprApprovalType = (typeof gdprApprovalTypes)[number]

/** What can happen to a request. */
export type GdprStep = GdprApprovalType | 'REJECT' | 'START' | 'COMPLETE' | 'FAIL' | 'RETRY'

const transitions: Readonly<Record<GdprStep, Partial<Record<GdprStatus, GdprStatus>>>> = {
  CUSTOMER_APPROVAL: { CUSTOMER_PENDING: 'CUSTOMER_APPROVED' },
  ADMIN_APPROVAL: { CUSTOMER_APPROVED: 'ADMIN_APPROVED' },
  REJECT: { CUSTOMER_PENDING: 'REJECTED', CUSTOMER_APPROVED: 'REJECTED', ADMIN_APPROVED: 'REJECTED' },
  START: { ADMIN_APPROVED: 'PROCESSING' },
  COMPLETE: { PROCESSING: 'DONE' },
  FAIL: { PROCESSING: 'FAILED' },
  RETRY: { FAILED: 'PROCESSING' },
}

/** Where a step leads from a status; null where it can't be taken from there. */
export const statusAfter = (status: GdprStatus, step: GdprStep): GdprStatus | null => transitions[step][status] ?? null

/** {@link statusAfter}, or INVALID_TRANSITION. */
export function nextStatus(status: GdprStatus, step: GdprStep): GdprStatus {
  const next = statusAfter(status, step)
  if (next === null)
    throw new DomainError('INVALID_TRANSITION', `A request that is ${status} can't take the step ${step}.`)
  return next
}

/** That somebody agreed. */
export interface GdprApproval {
  readonly approvalType: GdprApprovalType
  /** UUID of an account. */
  readonly approvedBy: string
  readonly createdAt: Date
}

/**
 * SELF_APPROVAL where the approver asked for it, or gave the other approval already. `fourEyes` off lets the requester
 * give the customer's approval, not the admin's.
 */
export function refuseSelfApproval(
  request: {
    readonly requestedBy: string
    readonly fourEyes: boolean
    readonly approvals: readonly Pick<GdprApproval, 'approvedBy'>[]
  },
  approvalType: GdprApprovalType,
  approver: string,
): void {
  const own = request.requestedBy === approver && (request.fourEyes || approvalType === 'ADMIN_APPROVAL')
  if (own || request.approvals.some(({ approvedBy }) => approvedBy === approver))
    throw new DomainError('SELF_APPROVAL', 'Nobody approves a request of their own, or the same request twice.')
}

/** A request as it may be shown. Ids are UUIDs. */
export interface GdprRequest {
  readonly id: string
  readonly companyId: string
  readonly requestType: GdprRequestType
  readonly status: GdprStatus
  readonly requestedBy: string
  readonly fourEyes: boolean
  /** Masked, then a digest. */
  readonly subject: string
  readonly matchedEvents: number
  readonly erasedEvents: number
  readonly failure: string | null
  readonly createdAt: Date
  readonly completedAt: Date | null
}

/** What was erased from one store of one region. */
export interface ErasureEvidence {
  readonly region: Region
  readonly store: string
  readonly records: number
  readonly completedAt: Date
}

/** What evidence calls archive objects that can't be looked through before they are restored. */
export const WAITING_OBJECTS = 'archive objects pending until they are restored'
