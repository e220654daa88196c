import { authorization, regions, type BenchRegion, type BenchWorld } from './bench-world.js'
import type { LoadResult } from './load-result.js'
import type { SqlLoad } from './load-sql.js'
import { httpLoad, sqlLoad, startHelper } from './processes.js'
import { atMost, median, milliseconds, type Row } from './report.js'
import { growTo, workspaceUuid } from './seed.js'

const pageSize = 50
const aim = 1.5
/** More than are kept in memory: none is remembered when its turn comes again. */
const questions = 1000
/** Both sides are measured once their code is compiled: a page runs far more of it than a statement. */
const warmUpMs = 4000
/** What a peer of the same kind takes for such a page out of 200 000 events on the same machine. */
const peerMs = 52

const nodeFields = `id dataRegion action category actor { id email name } target { id type } payload metadata traceId
  occurredAt receivedAt sequence hash prevHash workspace { id slug }`
const connectionFields = `edges { cursor node { ${nodeFields} } } pageInfo { hasNextPage endCursor } complete`

export const globalEventsQuery = `query globalEvents($filter: EventFilter, $first: Int, $after: String) {
  globalEvents(filter: $filter, first: $first, after: $after) { ${connectionFields} regions { region status } } }`

/** The same page from memory: what the framework itself takes to answer fifty events. */
const staticPageQuery = `query page { page { ${connectionFields} } }`

// What the service asks of one region, by hand: the newest events of the company's workspace there.
const rawSql = `select id, company_id, workspace_id, project_id, sequence, action, category, target_type, occurred_at,
    received_at, hash, prev_hash, erased_at, actor_pseudonym, identity_blob, content_blob
  from event where workspace_id = $1
  order by occurred_at desc, id desc limit ${pageSize + 1}`

/** (3) A page of 50 over four regions against the slowest single region's raw SQL. */
export async function measurePage(world: BenchWorld): Promise<Row[]> {
  const stored = world.quick ? 4000 : 200_000
  await growTo(world, stored)
  const ceiling = await startHelper('ceiling-server', [])
  const times = { connections: 1, warmUpMs: world.quick ? 300 : warmUpMs, durationMs: world.quick ? 1000 : 5000 }
  const ours: LoadResult[] = []
  const again: LoadResult[] = []
  const framework: LoadResult[] = []
  const raw = Object.fromEntries(regions.map((region) => [region, [] as number[]])) as Record<BenchRegion, number[]>
  const companies = await companyOf(world)
  try {
    for (let round = 0; round < (world.quick ? 1 : 5); round++) {
      const service = { url: world.endpoint, headers: authorization(world.companyKey), ...times }
      ours.push(await httpLoad({ ...service, bodies: Array.from({ length: questions }, (_, n) => pageBody(n)) }))
      again.push(await httpLoad({ ...service, bodies: [pageBody(0)] }))
      framework.push(
        await httpLoad({
          url: ceiling.url,
          headers: {},
          bodies: [JSON.stringify({ query: staticPageQuery })],
          ...times,
        }),
      )
      for (const region of regions) raw[region].push(await rawPageMs(world, region, companies, times))
    }
  } finally {
    await ceiling.stop()
  }
  const p50 = median(ours.map((result) => result.p50Ms))
  const againMs = median(again.map((result) => result.p50Ms))
  const frameworkMs = median(framework.map((result) => result.p50Ms))
  const slowestMs = Math.max(...regions.map((region) => median(raw[region])))
  const ratio = (p50 - frameworkMs) / slowestMs
  return [
    {
      what: `globalEvents, ${pageSize} of ${stored.toLocaleString('en')} in 4 regions, p50, against one region's SQL`,
      figure: milliseconds(p50),
      against: milliseconds(slowestMs),
      ratio: p50 / slowestMs,
    },
    {
      what: `the same less the framework's own ${milliseconds(frameworkMs)} for such a page`,
      figure: milliseconds(p50 - frameworkMs),
      against: milliseconds(slowestMs),
      ratio,
      aim: atMost(ratio, aim),
    },
    {
      what: 'asked for again where nothing changed, against the first time',
      figure: milliseconds(againMs),
      against: milliseconds(p50),
      ratio: againMs / p50,
    },
    {
      what: 'the same page, against a peer',
      figure: milliseconds(p50),
      against: milliseconds(peerMs),
      ratio: p50 / peerMs,
    },
  ]
}

/** How long one region's database takes for its part, asked by hand. */
async function rawPageMs(
  world: BenchWorld,
  region: BenchRegion,
  companies: string,
  times: Pick<SqlLoad, 'connections' | 'warmUpMs' | 'durationMs'>,
): Promise<number> {
  const { p50Ms } = await sqlLoad({
    kind: 'statement',
    databaseUrl: `${world.databaseUrl(region)}?options=${encodeURIComponent(`-c app.companies=${companies}`)}`,
    text: rawSql,
    values: [workspaceUuid(world, region)],
    rowsMin: pageSize,
    ...times,
  })
  return p50Ms
}

/** All of them show the same page: each is about everything since a moment before there was anything. */
const pageBody = (n: number): string => {
  const filter = { from: new Date(Date.UTC(2000, 0, 1) + n).toISOString() }
  return JSON.stringify({ query: globalEventsQuery, variables: { first: pageSize, filter } })
}

async function companyOf(world: BenchWorld): Promise<string> {
  const [row] = await world.sql('EU', 'select company_id from chain_head order by sequence desc limit 1')
  return String(row?.['company_id'])
}
