import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createWorld, type World } from '../harness/app.js'

/*
 * Each filter is answered from its own index, in the order of the page, reading little more than what it returns: looked
 * at in the plans of the very statements that the API sends, over a table where reading all of it would show.
 */

const eventCount = 20_000
let world: World
let owner: Client

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly Plan[]
}

beforeAll(async () => {
  world = await createWorld()
  const { AU } = world.acme.in
  // One event of each rare kind through the API gives the tags and ids that the rows made in bulk repeat.
  await world.record(AU, [
    {
      action: 'rare',
      category: 'rare',
      projectId: AU.project.gid,
      actor: { id: 'rare', email: 'rare@example.com' },
      target: { id: 'rare', type: 'rare' },
      traceId: 'rare',
    },
  ])
  owner = new Client({ connectionString: world.databases.superuserUrl(world.databases.regions.AU.name) })
  await owner.connect()
  // Common kinds come 1 in 4, and each of the rare ones 1 in 100.
  await owner.query(
    `insert into event (workspace_id, sequence, id, company_id, project_id, term, body, prev_hash, hash, occurred_at, received_at,
       action, category, target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag)
     select e.workspace_id, 1 + n, gen_random_uuid(), e.company_id, case when n % 100 = 0 then e.project_id end, 1, e.body, e.hash, e.hash,
       now() - n * interval '1 minute', now(),
       case when n % 100 = 0 then 'rare' else 'common ' || n % 4 end, case when n % 100 = 0 then 'rare' else 'common ' || n % 4 end,
       case when n % 100 = 0 then 'rare' else 'common ' || n % 4 end,
       case when n % 100 = 0 then e.actor_id_tag else decode(md5((n % 500)::text), 'hex') end,
       case when n % 100 = 0 then e.actor_email_tag else decode(md5((n % 500)::text), 'hex') end,
       case when n % 100 = 0 then e.target_id_tag else decode(md5((n % 500)::text), 'hex') end,
       case when n % 100 = 0 then e.trace_id_tag else decode(md5((n % 500)::text), 'hex') end
     from event e cross join generate_series(1, $1::int) n`,
    [eventCount],
  )
  await owner.query('analyze event')
})
afterAll(async () => {
  await owner.end()
  await world.close()
})

/** The statement that reads events while the query is answered. */
async function statementOf(
  query: string,
  variables: Record<string, unknown>,
): Promise<{ text: string; values: unknown[] }> {
  const spy = vi.spyOn(Client.prototype, 'query')
  try {
    const { errors } = await world.gql(world.acme.key, query, variables)
    expect(errors).toBeUndefined()
    const sent = spy.mock.calls.map(
      ([statement]) => statement as unknown as { text: string; values: unknown[]; name?: string },
    )
    const { text, values, name } = sent.find((one) => one.name?.startsWith('events_'))!
    // A first page that has been read before is asked for by its version, the last value: here it is to be read.
    return { text, values: name!.endsWith('v') ? [...values.slice(0, -1), ''] : values }
  } finally {
    spy.mockRestore()
  }
}

const literalOf = (value: unknown): string => {
  if (Buffer.isBuffer(value)) return `'\\x${value.toString('hex')}'`
  if (Array.isArray(value)) return `'{${value.map((item) => JSON.stringify(item)).join(',')}}'`
  return `'${String(value)}'`
}

/** The plan as the service's role gets it, made for any values: what a prepared statement comes to. */
async function planOf({ text, values }: { text: string; values: unknown[] }): Promise<Plan> {
  const client = new Client({ connectionString: world.databases.regions.AU.databaseUrl })
  await client.connect()
  try {
    await client.query(
      `begin; set local app.companies = '${world.acme.id}'; set local plan_cache_mode = force_generic_plan`,
    )
    await client.query(`prepare q as ${text}`)
    const { rows } = await client.query(`explain (analyze, format json) execute q(${values.map(literalOf).join(', ')})`)
    return rows[0]['QUERY PLAN'][0].Plan as Plan
  } finally {
    await client.end()
  }
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

const firstPage =
  'query ($filter: EventFilter, $first: Int, $last: Int, $after: String) { globalEvents(regions: [AU], filter: $filter, first: $first, last: $last, after: $after) { nodes { id } pageInfo { endCursor } } }'

describe('the first page, the last, and one in between', () => {
  it.each([
    ['nothing', {}, 'event_time'],
    ['actions', { actions: ['rare'] }, 'event_action'],
    ['several actions', { actions: ['rare', 'common 1', 'none'] }, 'event_action'],
    ['categories', { categories: ['rare', 'common 2'] }, 'event_category'],
    ['targetType', { targetType: 'rare' }, 'event_target_type'],
    ['actorId', { actorId: 'rare' }, 'event_actor_id'],
    ['actorEmail', { actorEmail: 'Rare@example.com' }, 'event_actor_email'],
    ['targetId', { targetId: 'rare' }, 'event_target_id'],
    ['traceId', { traceId: 'rare' }, 'event_trace_id'],
    ['projectId', 'project', 'event_project'],
  ])('by %s read their index and little else', async (_, given, index) => {
    const filter = given === 'project' ? { projectId: world.acme.in.AU.project.gid } : given
    const { data } = await world.gql(world.acme.key, firstPage, { filter, first: 40 })
    const { endCursor } = data.globalEvents.pageInfo
    expect(data.globalEvents.nodes).toHaveLength(40)
    for (const page of [{ first: 40 }, { first: 40, after: endCursor }, { first: null, last: 40 }]) {
      const plan = await planOf(await statementOf(firstPage, { filter, ...page }))
      const scans = nodesOf(plan).filter((node) => node['Relation Name'] === 'event')
      expect(scans.map((scan) => [scan['Node Type'], scan['Index Name']])).toEqual([['Index Scan', index]])
      const read = scans.reduce(
        (sum, scan) => sum + scan['Actual Loops'] * (scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)),
        0,
      )
      expect(read).toBeLessThanOrEqual(51 * 3)
    }
  })
})
