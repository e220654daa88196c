import { authorization, poolMax, type BenchWorld } from './bench-world.js'
import type { HttpLoad } from './load-http.js'
import type { LoadResult } from './load-result.js'
import { httpLoad, startHelper } from './processes.js'
import { atLeast, median, milliseconds, perSecond, type Row } from './report.js'
import { randomOf, sampleEvent } from './sample-events.js'

const connections = 64
const distinctEvents = 4000
const aimAgainstBare = 1
const aimAgainstTrivial = 0.4
/** What a peer of the same kind takes on the same machine. */
const peerPerSecond = 1470

export const ingestEventQuery =
  'mutation ingestEvent($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId status replayed sequence hash } } }'

/** (1) Single events over HTTP at 64 connections: ours, a bare server's INSERT, and our framework doing nothing. */
export async function measureSingle(world: BenchWorld): Promise<Row[]> {
  const [bare, ceiling] = await Promise.all([
    startHelper('bare-server', [world.databaseUrl('EU'), String(poolMax)]),
    startHelper('ceiling-server', []),
  ])
  try {
    const random = randomOf(1)
    const events = Array.from({ length: distinctEvents }, () => sampleEvent(random, Date.now()))
    const load = (url: string, headers: Record<string, string>, bodies: readonly string[]): HttpLoad => ({
      url,
      headers,
      bodies,
      connections,
      warmUpMs: world.quick ? 500 : 2000,
      durationMs: world.quick ? 1500 : 8000,
    })
    const sides = {
      ours: load(
        world.endpoint,
        authorization(world.workspaces.EU.apiKey),
        events.map((event) => JSON.stringify({ query: ingestEventQuery, variables: { input: event } })),
      ),
      bare: load(
        bare.url,
        {},
        events.map((event) => JSON.stringify(event)),
      ),
      trivial: load(
        ceiling.url,
        {},
        events.map((event) =>
          JSON.stringify({
            query: 'mutation touch($input: JSONObject!) { touch(input: $input) { id } }',
            variables: { input: event },
          }),
        ),
      ),
    }
    return rowsOf(await alternate(sides, world.quick ? 1 : 5))
  } finally {
    await Promise.all([bare.stop(), ceiling.stop()])
  }
}

/** The sides in turn, round after round: what disturbs the machine disturbs all of them. */
async function alternate<Side extends string>(
  sides: Readonly<Record<Side, HttpLoad>>,
  rounds: number,
): Promise<Record<Side, LoadResult[]>> {
  const names = Object.keys(sides) as Side[]
  const results = Object.fromEntries(names.map((name) => [name, [] as LoadResult[]])) as Record<Side, LoadResult[]>
  for (let round = 0; round < rounds; round++) for (const name of names) results[name].push(await httpLoad(sides[name]))
  return results
}

function rowsOf(results: Readonly<Record<'ours' | 'bare' | 'trivial', readonly LoadResult[]>>): Row[] {
  const rate = (side: keyof typeof results): number => median(results[side].map((result) => result.rate))
  const against = (side: 'bare' | 'trivial'): number => rate('ours') / rate(side)
  const latency = (side: keyof typeof results): string =>
    (['p50Ms', 'p99Ms'] as const).map((name) => milliseconds(median(results[side].map((r) => r[name])))).join(' / ')
  return [
    {
      what: 'ingestEvent, against one INSERT per request',
      figure: perSecond(rate('ours')),
      against: perSecond(rate('bare')),
      ratio: against('bare'),
      aim: atLeast(against('bare'), aimAgainstBare),
    },
    {
      what: 'ingestEvent, against a trivial mutation',
      figure: perSecond(rate('ours')),
      against: perSecond(rate('trivial')),
      ratio: against('trivial'),
      aim: atLeast(against('trivial'), aimAgainstTrivial),
    },
    {
      what: 'ingestEvent, against a peer',
      figure: perSecond(rate('ours')),
      against: perSecond(peerPerSecond),
      ratio: rate('ours') / peerPerSecond,
    },
    { what: 'latency p50 / p99, against the bare server', figure: latency('ours'), against: latency('bare') },
  ]
}
