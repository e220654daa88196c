import { describe, expect, it } from 'vitest'
import {
  gdprStatuses,
  nextStatus,
  refuseSelfApproval,
  statusAfter,
  type GdprStatus,
  type GdprStep,
} from './gdpr-request.js'

const table: Readonly<Record<GdprStep, Partial<Record<GdprStatus, GdprStatus>>>> = {
  CUSTOMER_APPROVAL: { CUSTOMER_PENDING: 'CUSTOMER_APPROVED' },
  ADMIN_APPROVAL: { CUSTOMER_APPROVED: 'ADMIN_APPROVED' },
  REJECT: { CUSTOMER_PENDING: 'REJECTED', CUSTOMER_APPROVED: 'REJECTED', ADMIN_APPROVED: 'REJECTED' },
  START: { ADMIN_APPROVED: 'PROCESSING' },
  COMPLETE: { PROCESSING: 'DONE' },
  FAIL: { PROCESSING: 'FAILED' },
  RETRY: { FAILED: 'PROCESSING' },
}
const cases = (Object.keys(table) as GdprStep[]).flatMap((step) =>
  gdprStatuses.map((status) => ({ step, status, next: table[step][status] ?? null })),
)

describe('a request', () => {
  it.each(cases)('in $status takes $step to $next', ({ step, status, next }) => {
    expect(statusAfter(status, step)).toBe(next)
    let outcome: string
    try {
      outcome = nextStatus(status, step)
    } catch (error) {
      outcome = (error as { code: string }).code
    }
    expect(outcome).toBe(next ?? 'INVALID_TRANSITION')
  })

  it('is never rejected by an error, and never leaves DONE or REJECTED', () => {
    expect(cases.filter(({ step, next }) => next === 'REJECTED' && step !== 'REJECT')).toEqual([])
    expect(cases.filter(({ status, next }) => (status === 'DONE' || status === 'REJECTED') && next !== null)).toEqual(
      [],
    )
  })
})

describe('an approval', () => {
  const request = { requestedBy: 'ana', fourEyes: true, approvals: [{ approvedBy: 'bob' }] }
  it.each([
    ['the requester, as customer', request, 'CUSTOMER_APPROVAL', 'ana', true],
    ['the requester, as admin', request, 'ADMIN_APPROVAL', 'ana', true],
    ['the customer approver, as admin', request, 'ADMIN_APPROVAL', 'bob', true],
    ['somebody else', request, 'ADMIN_APPROVAL', 'eve', false],
    ['the requester without four eyes', { ...request, fourEyes: false }, 'CUSTOMER_APPROVAL', 'ana', false],
    ['the requester without four eyes, as admin', { ...request, fourEyes: false }, 'ADMIN_APPROVAL', 'ana', true],
  ] as const)('by %s', (_, of, type, by, refused) => {
    let outcome = 'OK'
    try {
      refuseSelfApproval(of, type, by)
    } catch (error) {
      outcome = (error as { code: string }).code
    }
    expect(outcome).toBe(refused ? 'SELF_APPROVAL' : 'OK')
  })
})
