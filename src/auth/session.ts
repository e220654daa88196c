import { changeControl } from '../admin-log/change-control.js'
import { DatabaseError } from '../db/database-error.js'
import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { DomainError } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import { findSession, renewSession, type SessionRow, touchSession } from './session.store.js'
import { newToken, SESSION_SEEN_EVERY_MS, tokenHash } from './session-token.js'
import { anonymous, type SessionViewer, type StaffViewer, type Viewer } from './viewer.js'

export interface SessionDeps {
  readonly control: Database
  readonly clock: Clock
  /** Staff without a second factor may do nothing but enroll one. */
  readonly requireStaffTotp: boolean
}

/** Who a session cookie stands for, and the token that takes its place where the session got a new id. */
export interface SessionIdentity {
  readonly viewer: Viewer
  readonly renewed: { readonly token: string; readonly expiresAt: Date } | null
}

/**
 * Who presents this session token. What they may do is read from the database each time. It doesn't throw for a token
 * that doesn't count: the viewer is then nobody, with the refusal (UNAUTHENTICATED; REGION_UNAVAILABLE where the control
 * database doesn't answer).
 */
export async function authenticateSession(deps: SessionDeps, token: string): Promise<SessionIdentity> {
  const { control, clock } = deps
  const now = clock.now()
  const hash = tokenHash(token)
  try {
    const row = hash === null ? null : await findSession(control, hash, now)
    if (hash === null || row === null) return { viewer: signedOut, renewed: null }
    if (now.getTime() - row.last_seen_at.getTime() >= SESSION_SEEN_EVERY_MS) await touchSession(control, row.id, now)
    const renewed = row.renew_due ? await renew(deps, row, hash, now) : null
    return { viewer: sessionViewer(deps, row), renewed }
  } catch (error) {
    if (!(error instanceof DatabaseError && error.unavailable)) throw error
    const refusal = new DomainError('REGION_UNAVAILABLE', 'The control database does not answer; try again.', {
      details: { regions: ['CONTROL'] },
      cause: error,
    })
    return { viewer: anonymous(refusal), renewed: null }
  }
}

const signedOut = anonymous(new DomainError('UNAUTHENTICATED', 'The session is over: sign in again.'))

async function renew(deps: SessionDeps, row: SessionRow, from: Buffer, now: Date): Promise<SessionIdentity['renewed']> {
  const token = newToken()
  const taken = await renewSession(deps.control, row.id, { from, to: tokenHash(token)! }, now)
  return taken ? { token, expiresAt: row.expires_at } : null
}

function sessionViewer(deps: SessionDeps, row: SessionRow): SessionViewer {
  const session = { id: row.id, createdAt: row.created_at, expiresAt: row.expires_at }
  const user = { id: row.user_id, email: row.email, name: row.name, createdAt: row.user_created_at }
  if (row.staff_role === null) {
    const memberships = row.memberships.map(({ companyId, role, workspaceIds }) => ({
      companyId,
      role,
      workspaceIds: role === 'OWNER' || role === 'ADMIN' ? null : new Set(workspaceIds),
    }))
    return { kind: 'user', session, user, memberships }
  }
  const mustEnrollTotp = deps.requireStaffTotp && !row.totp_enrolled
  return {
    kind: 'staff',
    session,
    user,
    staffRole: row.staff_role,
    mustEnrollTotp,
    recordRead: readRecorder(deps, row),
  }
}

/** Writes what staff read, once for each operation and company of a request. */
function readRecorder(deps: SessionDeps, row: SessionRow): StaffViewer['recordRead'] {
  const written = new Map<string, Promise<void>>()
  return (operation, companyId) => {
    const name = `${operation} ${companyId}`
    const before = written.get(name)
    if (before !== undefined) return before
    const entry = {
      companyId,
      actor: { kind: 'user', userId: row.user_id },
      action: 'staff.read',
      category: 'staff_read',
      target: { type: 'company', id: encodeId('company', companyId) },
      payload: { operation, staffRole: row.staff_role },
    } as const
    const writing = changeControl(deps, ({ log }) => Promise.resolve(log(entry)))
    written.set(name, writing)
    return writing
  }
}
