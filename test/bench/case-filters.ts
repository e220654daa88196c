import { authorization, type BenchWorld } from './bench-world.js'
import { globalEventsQuery } from './case-page.js'
import { httpLoad } from './processes.js'
import { atMost, milliseconds, type Row } from './report.js'
import { commonValues } from './sample-events.js'
import { growTo } from './seed.js'

const pageSize = 20
const hundredth = 100
const aim = 1.2
const rounds = 3
/** Before the first size is measured: else it is slower than the others for code not yet compiled. */
const warmUpMs = 10_000

type Filter = Readonly<Record<string, unknown>>

/** Every filter there is, each with a value that matches about a quarter of all events or more. */
function filtersOf(world: BenchWorld): Record<string, Filter> {
  const dayMs = 24 * 3600 * 1000
  const iso = (agoDays: number): string => new Date(Date.now() - agoDays * dayMs).toISOString()
  return {
    none: {},
    'from and to': { from: iso(300), to: iso(30) },
    actions: { actions: [commonValues.action, 'login.failed'] },
    categories: { categories: [commonValues.category] },
    actorId: { actorId: commonValues.actorId },
    actorEmail: { actorEmail: commonValues.actorEmail.toUpperCase() },
    targetType: { targetType: commonValues.targetType },
    targetId: { targetId: commonValues.targetId },
    workspaceId: { workspaceId: world.workspaces.EU.id },
    projectId: { projectId: world.workspaces.EU.projectId },
    traceId: { traceId: commonValues.traceId },
    'actor, category and time': {
      actorId: commonValues.actorId,
      categories: [commonValues.category],
      from: iso(330),
    },
  }
}

interface Page {
  readonly data?: {
    readonly globalEvents?: {
      readonly edges: readonly unknown[]
      readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
    } | null
  }
}

/** The cursor after that many pages, or the last one there is, and how many pages that is. */
async function walk(world: BenchWorld, filter: Filter, pages: number): Promise<{ after: string | null; page: number }> {
  let after: string | null = null
  // Large steps: only the cursor matters.
  const first = Math.min(500, pages * pageSize)
  for (let passed = 0; passed < pages * pageSize; passed += first) {
    const size: number = Math.min(first, pages * pageSize - passed)
    const response: Response = await fetch(world.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization(world.companyKey) },
      body: JSON.stringify({
        query: `query ($filter: EventFilter, $first: Int, $after: String) {
          globalEvents(filter: $filter, first: $first, after: $after) { edges { cursor } pageInfo { hasNextPage endCursor } } }`,
        variables: { filter, first: size, after },
      }),
    })
    const connection: NonNullable<NonNullable<Page['data']>['globalEvents']> | null | undefined = (
      (await response.json()) as Page
    ).data?.globalEvents
    if (connection === null || connection === undefined) throw new Error('walking to the hundredth page failed')
    if (!connection.pageInfo.hasNextPage) return { after, page: passed / pageSize }
    after = connection.pageInfo.endCursor
  }
  return { after, page: pages }
}

interface Measured {
  readonly first: number
  readonly late: number
  readonly page: number
}

async function measure(world: BenchWorld, filter: Filter): Promise<Measured> {
  const { after, page } = await walk(world, filter, hundredth - 1)
  const p50 = async (cursor: string | null): Promise<number> => {
    const results: number[] = []
    for (let round = 0; round < (world.quick ? 1 : rounds); round++) {
      const { p50Ms } = await httpLoad({
        url: world.endpoint,
        headers: authorization(world.companyKey),
        bodies: [JSON.stringify({ query: globalEventsQuery, variables: { filter, first: pageSize, after: cursor } })],
        connections: 1,
        warmUpMs: world.quick ? 100 : 300,
        durationMs: world.quick ? 300 : 1500,
      })
      results.push(p50Ms)
    }
    // The quietest round: sizes are minutes apart, and what the machine does besides is no matter of theirs.
    return Math.min(...results)
  }
  return { first: await p50(null), late: await p50(after), page: page + 1 }
}

async function warmUp(world: BenchWorld): Promise<void> {
  await httpLoad({
    url: world.endpoint,
    headers: authorization(world.companyKey),
    bodies: [JSON.stringify({ query: globalEventsQuery, variables: { first: pageSize } })],
    connections: 2,
    warmUpMs: 0,
    durationMs: world.quick ? 300 : warmUpMs,
  })
}

const label = (size: number): string => (size >= 1_000_000 ? `${size / 1_000_000} M` : `${size / 1000} k`)

/** (4) Every filter, first and hundredth page, as the stored events grow. */
export async function measureFilters(world: BenchWorld, log: (line: string) => void): Promise<Row[]> {
  const sizes = world.quick ? [8000, 16_000] : [10_000, 100_000, 1_000_000]
  const filters = filtersOf(world)
  const measured = new Map<string, Measured[]>(Object.keys(filters).map((name) => [name, []]))
  for (const size of sizes) {
    log(`  growing to ${size.toLocaleString('en')} events`)
    await growTo(world, size)
    if (size === sizes[0]) await warmUp(world)
    for (const [name, filter] of Object.entries(filters)) measured.get(name)?.push(await measure(world, filter))
  }
  return [...measured].flatMap(([name, stages]) =>
    (['first', 'late'] as const).map((which) => {
      const times = stages.map((stage) => stage[which])
      const least = times[0] ?? Number.NaN
      const most = times.at(-1) ?? Number.NaN
      return {
        what: `${name}, page ${which === 'first' ? 1 : (stages[0]?.page ?? 0)} (${sizes.map(label).join(', ')})`,
        figure: times.map(milliseconds).join(', '),
        against: milliseconds(least),
        ratio: most / least,
        aim: atMost(most / least, aim),
      }
    }),
  )
}
