import type { KeyObject } from 'node:crypto'
import type { AdminEvent } from '../admin-log/admin-entry.js'
import { countAdminEvents, readAdminEvents } from '../admin-log/admin-event.store.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { pageOf, type PageRequest } from '../graphql/page-arguments.js'
import { cursorCodec } from '../kernel/cursor.js'
import { notFound } from '../kernel/domain-error.js'

export interface AdminLogDeps {
  readonly control: Database
  readonly facts: ControlFacts
  /** Signs cursors. */
  readonly cursorKey: KeyObject
}

/** A page of the admin log, newest first. */
export interface AdminLogPage {
  readonly events: readonly AdminEvent[]
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
  cursorOf(this: void, event: AdminEvent): string
  total(this: void): Promise<number>
}

/**
 * What was done to a company, or (`companyId` null) what concerns none: staff sign-ins, and attempts that failed. For
 * staff. UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, BAD_USER_INPUT (cursor), REGION_UNAVAILABLE.
 */
export async function listAdminLog(
  deps: AdminLogDeps,
  viewer: Viewer,
  input: { readonly companyId: string | null; readonly page: PageRequest },
): Promise<AdminLogPage> {
  const session = admitSession(viewer, 'adminLog')
  const { companyId, page } = input
  if (companyId !== null && (await deps.facts.company(companyId)) === null) throw notFound('Company')
  const codec = cursorCodec(deps.cursorKey, { list: 'adminLog', company: companyId })
  const position = page.cursor === null ? null : codec.decode(page.cursor, page.cursorField)
  if (companyId !== null && session.kind === 'staff') await session.recordRead('adminLog', companyId)
  const direction = page.direction === 'forward' ? 'older' : 'newer'
  const found = await orControlUnavailable(() =>
    readAdminEvents(deps.control, { companyId, direction, position, limit: page.size + 1 }),
  )
  const { items: events, ...rest } = pageOf(found, page)
  return {
    events,
    ...rest,
    cursorOf: ({ occurredAt, id }) => codec.encode({ timeMs: occurredAt.getTime(), uuid: id }),
    total: () => orControlUnavailable(() => countAdminEvents(deps.control, companyId)),
  }
}
