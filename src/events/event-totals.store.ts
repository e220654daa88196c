import type { Database } from '../db/database.js'
import { filterSql, type WorkspaceWindow } from './event-conditions.js'
import type { EventFilter } from './event-filter.js'
import type { EventTotal } from './event-page.js'

/** How far totals are counted. */
export const TOTAL_MAX = 10_000

/** What was archived is in no list that doesn't ask for it, also where the retention was made longer since. */
const archivedBefore = (isOne: boolean): string =>
  `(select coalesce(max(a.received_before), '-infinity') from workspace_archive a where a.workspace_id = ${isOne ? '$1::uuid' : 'w.id'})`

/** How many events of the global index match, counted up to {@link TOTAL_MAX}. */
export async function countEvents(
  control: Database,
  workspaces: readonly WorkspaceWindow[],
  filter: EventFilter,
  timeoutMs: number,
): Promise<EventTotal> {
  const { sources, conditions, values, shape } = filterSql(filter, workspaces)
  const hot = filter.includeArchived ? '' : ` and received_at >= ${archivedBefore(workspaces.length === 1)}`
  const matching = `select 1 from event_index where ${conditions}${hot} limit ${TOTAL_MAX + 1}`
  const counted =
    sources === null ? matching : `select 1 from ${sources} cross join lateral (${matching}) i limit ${TOTAL_MAX + 1}`
  const rows = await control.query<{ count: number }>(
    `select count(*)::int as count from (${counted}) counted`,
    values,
    { name: `event_total_${shape}${filter.includeArchived ? '_everywhere' : ''}`, timeoutMs },
  )
  const count = rows[0]!.count
  return { count: Math.min(count, TOTAL_MAX), isExact: count <= TOTAL_MAX }
}
