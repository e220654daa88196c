import { setTimeout as wait } from 'node:timers/promises'
import { authorization, regions, type BenchRegion, type BenchWorld } from './bench-world.js'
import { decodeId } from '../../src/kernel/ids.js'
import { ingestEventsQuery } from './case-bulk.js'
import { randomOf, sampleEvent } from './sample-events.js'

const eventsPerCall = 1000
const callsAtOnce = 2
const pollMs = 250
const indexTimeoutMs = 30 * 60_000

/** Records so many events through the API, in calls of a thousand. */
export async function record(world: BenchWorld, region: BenchRegion, seed: number, count: number): Promise<void> {
  const random = randomOf(seed)
  const workspace = world.workspaces[region]
  const nowMs = Date.now()
  let left = count
  const caller = async (): Promise<void> => {
    while (left > 0) {
      const size = Math.min(left, eventsPerCall)
      left -= size
      const events = Array.from({ length: size }, () => sampleEvent(random, nowMs, workspace.projectId))
      const response = await fetch(world.endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authorization(workspace.apiKey) },
        body: JSON.stringify({ query: ingestEventsQuery, variables: { input: { events } } }),
      })
      const text = await response.text()
      if (!response.ok || text.includes('"errors"')) throw new Error(`seeding failed: ${text.slice(0, 500)}`)
    }
  }
  await Promise.all(Array.from({ length: callsAtOnce }, caller))
}

async function numberOf(
  world: BenchWorld,
  server: BenchRegion | 'control',
  text: string,
  values: readonly unknown[] = [],
): Promise<number> {
  const [row] = await world.sql(server, text, values)
  return Number(row?.['number'])
}

/** The plain UUID of the company's workspace in a region. */
export const workspaceUuid = (world: BenchWorld, region: BenchRegion): string =>
  decodeId('workspace', world.workspaces[region].id, 'id')

const storedIn = (world: BenchWorld, region: BenchRegion): Promise<number> =>
  numberOf(world, region, 'select max(sequence) as number from event where workspace_id = $1', [
    workspaceUuid(world, region),
  ])

/** Until the global index knows every recorded event. */
export async function indexCaughtUp(world: BenchWorld): Promise<void> {
  const deadline = Date.now() + indexTimeoutMs
  for (;;) {
    const waiting = await Promise.all(
      regions.map((region) => numberOf(world, region, 'select count(*) as number from index_outbox')),
    )
    if (waiting.every((number) => number === 0)) return
    if (Date.now() > deadline) throw new Error('the global index did not catch up')
    await wait(pollMs)
  }
}

/**
 * Records events through the API until that many are stored in all regions together, a quarter in each, then waits for
 * the global index and leaves the tables vacuumed, as they would be in time.
 */
export async function growTo(world: BenchWorld, total: number): Promise<void> {
  for (const [index, region] of regions.entries()) {
    const stored = await storedIn(world, region)
    // A seed of its own for each stage and region: no stage repeats the events of another.
    await record(world, region, stored * regions.length + index, Math.ceil(total / regions.length) - stored)
  }
  await indexCaughtUp(world)
  await Promise.all([
    world.sql('control', 'vacuum (analyze) event_index'),
    ...regions.map((region) => world.sql(region, 'vacuum (analyze) event')),
  ])
}
