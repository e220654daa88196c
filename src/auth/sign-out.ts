import { changeControl } from '../admin-log/change-control.js'
import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { admitSession } from './permissions.js'
import { deleteSession, deleteSessionsOf } from './session.store.js'
import { sessionEntries } from './sign-in.js'
import type { SessionViewer, Viewer } from './viewer.js'

/** Ends the caller's session. UNAUTHENTICATED, FORBIDDEN (an API key), REGION_UNAVAILABLE. */
export async function signOut(
  deps: { readonly control: Database; readonly clock: Clock },
  viewer: Viewer,
): Promise<void> {
  const session = admitSession(viewer, 'signOut')
  await changeControl(deps, async ({ tx, log }) => {
    await deleteSession(tx, session.session.id)
    for (const entry of sessionEntries(accountOf(session), 'session.signed_out')) log(entry)
  })
}

/**
 * Ends every session of the caller's account, this one too; answers how many. UNAUTHENTICATED, FORBIDDEN (an API key),
 * REGION_UNAVAILABLE.
 */
export async function signOutEverywhere(
  deps: { readonly control: Database; readonly clock: Clock },
  viewer: Viewer,
): Promise<number> {
  const session = admitSession(viewer, 'signOutEverywhere')
  return changeControl(deps, async ({ tx, log }) => {
    const sessions = await deleteSessionsOf(tx, session.user.id)
    for (const entry of sessionEntries(accountOf(session), 'session.signed_out_everywhere', { sessions })) log(entry)
    return sessions
  })
}

/** What sessionEntries needs of a viewer. */
export const accountOf = (viewer: SessionViewer) => ({
  id: viewer.user.id,
  staff_role: viewer.kind === 'staff' ? viewer.staffRole : null,
  company_ids: viewer.kind === 'user' ? viewer.memberships.map(({ companyId }) => companyId) : [],
})
