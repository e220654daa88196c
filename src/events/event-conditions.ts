import type { EventFilter } from './event-filter.js'
import { retentionCutoff } from './retention.js'

/** A workspace to read and from when on what it received is shown. */
export interface WorkspaceWindow {
  readonly id: string
  readonly cutoff: Date
}

/** Nothing was received before it. */
const epoch = new Date(0)

/** What a list shows of workspaces: what is within their retention, or, where archives are asked for too, all of it. */
export const windowsOf = (
  workspaces: readonly { readonly id: string; readonly retentionDays: number }[],
  { includeArchived }: Pick<EventFilter, 'includeArchived'>,
  now: Date,
): WorkspaceWindow[] =>
  workspaces.map(({ id, retentionDays }) => ({
    id,
    cutoff: includeArchived ? epoch : retentionCutoff(retentionDays, now),
  }))

/**
 * SQL that answers a filter in a table with an event's search columns, workspace by workspace: `sources` is what to
 * join laterally with (`w` the workspaces with their cut-offs, `a` or `c` the values of a list), null where the
 * conditions alone say it; `conditions` go into the WHERE of the inner query. Lists of several values are joined, not
 * matched, because each value is then one walk along an index in the order of the page. `shape` names what the text
 * depends on, for naming prepared statements.
 */
export interface FilterSql {
  readonly sources: string | null
  readonly conditions: string
  readonly values: readonly unknown[]
  readonly shape: string
}

const equalities = [
  ['targetType', 'target_type', 'text', 't'],
  ['projectId', 'project_id', 'uuid', 'p'],
  ['actorIdTag', 'actor_id_tag', 'bytea', 'i'],
  ['actorEmailTag', 'actor_email_tag', 'bytea', 'e'],
  ['targetIdTag', 'target_id_tag', 'bytea', 'g'],
  ['traceIdTag', 'trace_id_tag', 'bytea', 'r'],
] as const satisfies readonly (readonly [keyof EventFilter, string, string, string])[]

/** The SQL of a filter over some workspaces; parameters are numbered from 1. */
export function filterSql(filter: EventFilter, workspaces: readonly WorkspaceWindow[]): FilterSql {
  const [only] = workspaces
  // Most lists are about one workspace: its walk along the index is then the page, and nothing is left to sort.
  const isOne = only !== undefined && workspaces.length === 1
  const values: unknown[] = isOne
    ? [only.id, only.cutoff.toISOString()]
    : [workspaces.map(({ id }) => id), workspaces.map(({ cutoff }) => cutoff.toISOString())]
  const bind = (value: unknown, type: string) => `$${values.push(value)}::${type}`
  const sources = isOne ? [] : ['unnest($1::uuid[], $2::timestamptz[]) as w(id, cutoff)']
  let shape = isOne ? '1' : ''
  const conditions = isOne
    ? ['workspace_id = $1::uuid', 'received_at >= $2::timestamptz']
    : ['workspace_id = w.id', 'received_at >= w.cutoff']
  for (const [member, column, type, letter] of equalities) {
    const value = filter[member]
    if (value === null) continue
    conditions.push(`${column} = ${bind(value, type)}`)
    shape += letter
  }
  if (filter.actions !== null) {
    const [action] = filter.actions
    if (filter.actions.length === 1) conditions.push(`action = ${bind(action, 'text')}`)
    else {
      sources.push(`unnest(${bind(filter.actions, 'text[]')}) as a(value)`)
      conditions.push('action = a.value')
    }
    shape += filter.actions.length === 1 ? 'a1' : 'a'
  }
  if (filter.categories !== null) {
    const [category] = filter.categories
    // One list is walked value by value; a second one only narrows what the first finds.
    if (filter.categories.length === 1) conditions.push(`category = ${bind(category, 'text')}`)
    else if (filter.actions === null) {
      sources.push(`unnest(${bind(filter.categories, 'text[]')}) as c(value)`)
      conditions.push('category = c.value')
    } else conditions.push(`category = any (${bind(filter.categories, 'text[]')})`)
    shape += filter.categories.length === 1 ? 'c1' : 'c'
  }
  if (filter.from !== null) {
    conditions.push(`occurred_at >= ${bind(filter.from.toISOString(), 'timestamptz')}`)
    shape += 'f'
  }
  if (filter.to !== null) {
    conditions.push(`occurred_at < ${bind(filter.to.toISOString(), 'timestamptz')}`)
    shape += 'o'
  }
  return {
    sources: sources.length === 0 ? null : sources.join(' cross join '),
    conditions: conditions.join(' and '),
    values,
    shape,
  }
}
