import { authorization, type BenchWorld } from './bench-world.js'
import type { LoadResult } from './load-result.js'
import { httpLoad, sqlLoad } from './processes.js'
import { atLeast, median, perSecond, type Row } from './report.js'
import { randomOf, sampleEvent } from './sample-events.js'

const eventsPerCall = 500
const distinctCalls = 8
const aim = 0.5
/** What a peer of the same kind takes in bulk on the same machine. */
const peerPerSecond = 4100

export const ingestEventsQuery =
  'mutation ingestEvents($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId status replayed sequence hash } } }'

/** (2) `ingestEvents` of 500 against raw `INSERT … SELECT FROM unnest` of the same rows, one and four callers. */
export async function measureBulk(world: BenchWorld): Promise<Row[]> {
  const random = randomOf(2)
  const bodies = Array.from({ length: distinctCalls }, () =>
    JSON.stringify({
      query: ingestEventsQuery,
      variables: {
        input: { events: Array.from({ length: eventsPerCall }, () => sampleEvent(random, Date.now())) },
      },
    }),
  )
  const times = { warmUpMs: world.quick ? 500 : 2000, durationMs: world.quick ? 2000 : 8000 }
  const rows: Row[] = []
  for (const connections of [1, 4]) {
    const ours: LoadResult[] = []
    const raw: LoadResult[] = []
    for (let round = 0; round < (world.quick ? 1 : 5); round++) {
      ours.push(
        await httpLoad({
          url: world.endpoint,
          headers: authorization(world.workspaces.EU.apiKey),
          bodies,
          connections,
          ...times,
        }),
      )
      raw.push(
        await sqlLoad({
          kind: 'bulk',
          rows: eventsPerCall,
          databaseUrl: world.databaseUrl('EU'),
          connections,
          ...times,
        }),
      )
    }
    const eventsPerSecond = (results: readonly LoadResult[]): number =>
      median(results.map((result) => result.rate)) * eventsPerCall
    const ratio = eventsPerSecond(ours) / eventsPerSecond(raw)
    rows.push({
      what: `ingestEvents of ${eventsPerCall}, ${connections} at a time, against raw unnest`,
      figure: perSecond(eventsPerSecond(ours)),
      against: perSecond(eventsPerSecond(raw)),
      ratio,
      aim: atLeast(ratio, aim),
    })
    if (connections === 4)
      rows.push({
        what: 'the same, against a peer',
        figure: perSecond(eventsPerSecond(ours)),
        against: perSecond(peerPerSecond),
        ratio: eventsPerSecond(ours) / peerPerSecond,
      })
  }
  return rows
}
