import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { Client } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import type { BenchWorld } from './bench-world.js'
import { atLeast, median, perSecond, type Row } from './report.js'
import { record, workspaceUuid } from './seed.js'

const aim = 0.5
const pollMs = 20
const timeoutMs = 30 * 60_000

/** (6) Filling a replica from the beginning against a binary COPY of the same rows between the same two servers. */
export async function measureReplication(world: BenchWorld, log: (line: string) => void): Promise<Row[]> {
  const count = world.quick ? 4_000 : 60_000
  await record(world, 'EU', 6, count)
  await world.sql('EU', 'vacuum (analyze) event')
  await world.sql('US', 'create table bench_copy (like event including all)')
  const ours: number[] = []
  const raw: number[] = []
  for (let round = 0; round < (world.quick ? 1 : 3); round++) {
    ours.push(count / ((await fillReplica(world, count)) / 1000))
    raw.push(count / ((await copyRows(world)) / 1000))
    log(`  ${perSecond(ours.at(-1)!)} against ${perSecond(raw.at(-1)!)}`)
  }
  const ratio = median(ours) / median(raw)
  return [
    {
      what: `a replica of ${count} events, checked and its keys wrapped, against a binary COPY, same indexes`,
      figure: perSecond(median(ours)),
      against: perSecond(median(raw)),
      ratio,
      aim: atLeast(ratio, aim),
    },
  ]
}

async function until(what: string, reached: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await reached())) {
    if (Date.now() > deadline) throw new Error(`not reached: ${what}`)
    await wait(pollMs)
  }
}

const setReplicas = (world: BenchWorld, replicateTo: string) =>
  world.sql('control', `update company set replicate_to = '{${replicateTo}}'`)

/** From the moment a company asks for it until the replica has everything; then it is purged. */
async function fillReplica(world: BenchWorld, count: number): Promise<number> {
  const workspace = workspaceUuid(world, 'EU')
  const heads = async () =>
    world.sql('US', 'select sequence from replica.chain_head where workspace_id = $1', [workspace])
  const startedMs = performance.now()
  await setReplicas(world, 'US')
  // The key of checkpoints is an event of the chain too.
  await until('the replica is filled', async () => Number((await heads())[0]?.['sequence'] ?? 0) >= count)
  const ms = performance.now() - startedMs
  await setReplicas(world, '')
  await until('the replica is purged', async () => (await heads()).length === 0)
  await world.sql('US', 'vacuum (full) replica.event')
  return ms
}

async function copyRows(world: BenchWorld): Promise<number> {
  await world.sql('US', 'truncate bench_copy')
  const [source, target] = ['EU', 'US'].map(
    (server) => new Client({ connectionString: world.superuserUrl(server as 'EU' | 'US') }),
  ) as [Client, Client]
  await Promise.all([source.connect(), target.connect()])
  try {
    const startedMs = performance.now()
    await pipeline(
      source.query(copyTo('copy event to stdout (format binary)')),
      target.query(copyFrom('copy bench_copy from stdin (format binary)')),
    )
    return performance.now() - startedMs
  } finally {
    await Promise.all([source.end(), target.end()])
  }
}
