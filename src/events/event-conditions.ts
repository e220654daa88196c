import type { EventFilter } from './event-filter.js'

/** A workspace to read and from when on what it received is shown. */
export interface WorkspaceWindow {
  readonly id: string
  readonly cutoff: Date
}

/**
 * SQL that answers a filter in a table with an event's search columns, workspace by workspace: `sources` is what to
 * join laterally with (`w` the workspaces with their cut-offs, `a` or `c` the values of a list), `conditions` go into the
 * WHERE of the inner query. Lists are joined, not matched, because each value is then one walk along an index in the
 * order of the page. `shape` names what the text depends on, for naming prepared statements.
 */
export interface FilterSql {
  readonly sources: string
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
  const values: unknown[] = [workspaces.map(({ id }) => id), workspaces.map(({ cutoff }) => cutoff.toISOString())]
  const bind = (value: unknown, type: string) => `$${values.push(value)}::${type}`
  let sources = 'unnest($1::uuid[], $2::timestamptz[]) as w(id, cutoff)'
  let shape = ''
  const conditions = ['workspace_id = w.id', 'received_at >= w.cutoff']
  for (const [member, column, type, letter] of equalities) {
    const value = filter[member]
    if (value === null) continue
    conditions.push(`${column} = ${bind(value, type)}`)
    shape += letter
  }
  if (filter.actions !== null) {
    sources += ` cross join unnest(${bind(filter.actions, 'text[]')}) as a(value)`
    conditions.push('action = a.value')
    shape += 'a'
  }
  if (filter.categories !== null) {
    const list = bind(filter.categories, 'text[]')
    // One list is walked value by value; a second one only narrows what the first finds.
    if (filter.actions === null) {
      sources += ` cross join unnest(${list}) as c(value)`
      conditions.push('category = c.value')
    } else conditions.push(`category = any (${list})`)
    shape += 'c'
  }
  if (filter.from !== null) {
    conditions.push(`occurred_at >= ${bind(filter.from.toISOString(), 'timestamptz')}`)
    shape += 'f'
  }
  if (filter.to !== null) {
    conditions.push(`occurred_at < ${bind(filter.to.toISOString(), 'timestamptz')}`)
    shape += 'o'
  }
  return { sources, conditions: conditions.join(' and '), values, shape }
}
