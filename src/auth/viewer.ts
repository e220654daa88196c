import type { CompanyRole, StaffRole } from '../directory/app-user.entity.js'
import { DomainError } from '../kernel/domain-error.js'
import type { ApiKeyFacts } from '../directory/control-facts.js'
import type { Operation } from './permission-table.js'

/**
 * Who is calling now. A caller whose credentials were refused is nobody too, with the refusal that every field answers
 * which needs somebody: a request that asks for nothing of the kind still gets its answer.
 */
export type Viewer = AnonymousViewer | ApiKeyViewer | SessionViewer

/** A person at the dashboard. What only a person may do takes this type, so that an API key can't get there. */
export type SessionViewer = UserViewer | StaffViewer

export interface AnonymousViewer {
  readonly kind: 'anonymous'
  /** Why, for people. Never holds what was sent. */
  readonly reason: string
  readonly refusal: DomainError
}

export interface ApiKeyViewer {
  readonly kind: 'apiKey'
  readonly key: ApiKeyFacts
}

/** Somebody of one or more companies. Everything in it was read from the database for this request. */
export interface UserViewer {
  readonly kind: 'user'
  readonly session: Session
  readonly user: Account
  readonly memberships: readonly Membership[]
}

/** Somebody of ours. Staff belong to no company. */
export interface StaffViewer {
  readonly kind: 'staff'
  readonly session: Session
  readonly user: Account
  readonly staffRole: StaffRole
  /** A second factor is demanded of staff and this account has none: nothing goes but enrolling one. */
  readonly mustEnrollTotp: boolean
  /** Writes in the admin log that a company's data is about to be read. Rejects where that can't be written. */
  recordRead(operation: Operation, companyId: string): Promise<void>
}

export interface Session {
  readonly id: string
  readonly createdAt: Date
  readonly expiresAt: Date
}

/** A dashboard account, as it may be shown. */
export interface Account {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly createdAt: Date
}

export interface Membership {
  readonly companyId: string
  readonly role: CompanyRole
  /** The workspaces that a MEMBER or VIEWER sees; null for an OWNER or ADMIN, who see all. */
  readonly workspaceIds: ReadonlySet<string> | null
}

/** Nobody, refused with this error wherever somebody is needed. */
export const anonymous = (refusal: DomainError): AnonymousViewer => ({
  kind: 'anonymous',
  reason: refusal.message,
  refusal,
})

/** Nobody, because nothing was presented. */
export const nobody: AnonymousViewer = anonymous(
  new DomainError(
    'UNAUTHENTICATED',
    'Send an API key in the header Authorization: Bearer hlk_…, or sign in with signIn.',
  ),
)
