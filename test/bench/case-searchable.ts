import { randomUUID } from 'node:crypto'
import { authorization, type BenchWorld } from './bench-world.js'
import { ingestEventQuery } from './case-single.js'
import { median, milliseconds, type Row } from './report.js'
import { randomOf, sampleEvent } from './sample-events.js'

/** What a peer of the same kind needs at best. */
const peerMs = 600

async function ask(world: BenchWorld, key: string, query: string, variables: object): Promise<string> {
  const response = await fetch(world.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization(key) },
    body: JSON.stringify({ query, variables }),
  })
  const text = await response.text()
  if (!response.ok || text.includes('"errors"')) throw new Error(text.slice(0, 500))
  return text
}

/** How long after sending an event it has been recorded, searched for in every region, and found. */
export async function measureSearchable(world: BenchWorld): Promise<Row[]> {
  const random = randomOf(5)
  const times: number[] = []
  for (let round = 0; round < (world.quick ? 20 : 200); round++) {
    const traceId = randomUUID()
    const sentAt = performance.now()
    await ask(world, world.workspaces.EU.apiKey, ingestEventQuery, {
      input: { ...sampleEvent(random, Date.now()), traceId },
    })
    const find =
      'query ($filter: EventFilter) { globalEvents(filter: $filter, first: 1) { edges { node { traceId } } } }'
    while (!(await ask(world, world.companyKey, find, { filter: { traceId } })).includes(traceId)) continue
    times.push(performance.now() - sentAt)
  }
  return [
    {
      what: 'from sending an event to having found it by globalEvents, p50',
      figure: milliseconds(median(times)),
      against: milliseconds(peerMs),
      ratio: median(times) / peerMs,
    },
  ]
}
