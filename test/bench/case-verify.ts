import { hash } from 'node:crypto'
import { canonicalJson } from '../../src/kernel/canonical-json.js'
import { newUuid } from '../../src/kernel/ids.js'
import { randomBytes } from '../../src/kernel/random.js'
import {
  buildBody,
  type ChainEvent,
  ChainVerifier,
  type Disclosure,
  disclosuresOf,
  fromBytes,
  linkHash,
  ZERO_HASH,
} from '../../src/ledger/index.js'
import { authorization, type BenchWorld } from './bench-world.js'
import { ingestEventsQuery } from './case-bulk.js'
import { atLeast, median, perSecond, type Row } from './report.js'
import { randomOf, sampleEvent } from './sample-events.js'

const aim = 0.5
const eventsPerCall = 500

/** A chain in memory, and every preimage that has to be hashed to verify it. */
function makeChain(size: number): { events: readonly ChainEvent[]; preimages: readonly Buffer[] } {
  const random = randomOf(4)
  const workspaceId = newUuid()
  const company = newUuid()
  const preimages: Buffer[] = []
  const events: ChainEvent[] = []
  let prevHash: Buffer = ZERO_HASH
  for (let sequence = 1; sequence <= size; sequence++) {
    const { action, category, target, occurredAt, ...disclosable } = sampleEvent(random, Date.now())
    const disclosures = disclosuresOf({ ...disclosable, target } as Parameters<typeof disclosuresOf>[0], () =>
      randomBytes(16),
    )
    const { body, bodyHash } = buildBody(
      {
        id: newUuid(),
        workspace: workspaceId,
        company,
        region: 'EU',
        project: null,
        action,
        category,
        targetType: target.type,
        occurredAt,
        receivedAt: occurredAt,
      },
      disclosures,
    )
    const eventHash = linkHash({ term: 1, workspaceId, sequence, prevHash, bodyHash })
    // One node of the tree for each leaf, on average.
    preimages.push(
      ...disclosures.map(preimageOf),
      Buffer.concat([Buffer.from('HL1.B\0'), body]),
      Buffer.alloc(97),
      Buffer.alloc(65),
    )
    events.push({
      sequence,
      term: 1,
      body: body.toString(),
      prevHash: sequence === 1 ? null : fromBytes(prevHash),
      hash: fromBytes(eventHash),
      disclosures,
      tombstones: [],
    })
    prevHash = eventHash
  }
  return { events, preimages }
}

const preimageOf = ({ path, value, salt }: Disclosure): Buffer =>
  Buffer.concat([Buffer.from('HL1.D\0'), salt, Buffer.from(canonicalJson([path, value]))])

function eventsPerSecond(size: number, run: () => void): number {
  const startedAt = performance.now()
  run()
  return (size * 1000) / (performance.now() - startedAt)
}

async function recordMany(world: BenchWorld, count: number): Promise<void> {
  const random = randomOf(5)
  for (let sent = 0; sent < count; sent += eventsPerCall) {
    const events = Array.from({ length: eventsPerCall }, () => sampleEvent(random, Date.now()))
    await ask(world, ingestEventsQuery, { input: { events } })
  }
}

async function ask(world: BenchWorld, query: string, variables: Record<string, unknown>): Promise<unknown> {
  const response = await fetch(world.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization(world.workspaces.EU.apiKey) },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = (await response.json()) as { data: unknown; errors?: unknown }
  if (errors !== undefined) throw new Error(JSON.stringify(errors))
  return data
}

/** Verifying a chain against hashing, and nothing else, of the same bytes; and a stored chain over the API. */
export async function measureVerify(world: BenchWorld): Promise<Row[]> {
  const size = world.quick ? 5_000 : 40_000
  const { events, preimages } = makeChain(size)
  const verify = (): void => {
    const verifier = new ChainVerifier({ extent: 'whole' })
    for (const event of events) if (!verifier.add(event)) throw new Error('the chain does not verify')
  }
  const ceiling = (): void => {
    for (const preimage of preimages) hash('sha256', preimage, 'binary')
  }
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 0; round < (world.quick ? 3 : 9); round++) {
    ours.push(eventsPerSecond(size, verify))
    bare.push(eventsPerSecond(size, ceiling))
  }
  const ratio = median(ours) / median(bare)
  const stored = world.quick ? 5_000 : 50_000
  await recordMany(world, stored)
  const query = 'query ($id: ID!) { verifyChain(workspaceId: $id) { ok checkedEvents } }'
  const startedAt = performance.now()
  const answer = await ask(world, query, { id: world.workspaces.EU.id })
  const seconds = (performance.now() - startedAt) / 1000
  const { ok, checkedEvents } = (answer as { verifyChain: { ok: boolean; checkedEvents: number } }).verifyChain
  if (!ok || checkedEvents !== stored) throw new Error('the stored chain does not verify')
  return [
    {
      what: `pure verification, against hashing ${Math.round(preimages.length / size)} preimages an event`,
      figure: perSecond(median(ours)),
      against: perSecond(median(bare)),
      ratio,
      aim: atLeast(ratio, aim),
    },
    { what: `verifyChain over ${stored.toLocaleString('en')} stored events`, figure: perSecond(stored / seconds) },
  ]
}
