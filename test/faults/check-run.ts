import { setTimeout as wait } from 'node:timers/promises'
import { Pool } from 'pg'
import { encodeRegionalId, parseGlobalId } from '../../src/kernel/ids.js'
import { regions, type Region } from '../../src/kernel/region.js'
import { eventName, type Receipt } from './attempt-log.js'
import { checkChain, type KeptCheckpoint } from './check-chain.js'
import { checkHealth } from './check-health.js'
import { Streams, type AcknowledgedEvent, type StoredEvent, type StreamCounts } from './check-streams.js'
import { postGraphql } from './graphql-post.js'
import { eventInput, receiptsOf, type IngestData } from './stream-events.js'
import type { FaultWorkspace } from './tenants.js'
import type { FaultWorld } from './world.js'

/** What the checker found once everything was healed. */
export interface CheckResult {
  readonly counts: Readonly<Record<Region, StreamCounts>>
  /** Everything else that is not as it should be, in words. */
  readonly faults: readonly string[]
}

const pollMs = 100
const requestTimeoutMs = 260_000
const eventsPerReplay = 500
/** A request may have that many aliases. */
const idsPerLookup = 15
const chainsAtOnce = 2
const faultsMax = 20

type Servers = Readonly<Record<Region | 'CONTROL', Pool>>

function connect(world: FaultWorld): Servers {
  const open = (url: string): Pool => new Pool({ connectionString: url, max: 4 })
  const ofRegions = regions.map((region) => [region, open(world.regions[region].superuserUrl)] as const)
  return {
    CONTROL: open(world.control.superuserUrl),
    ...(Object.fromEntries(ofRegions) as Record<Region, Pool>),
  }
}

/** What is still on its way: in the queues, in the outboxes of the index, and regions whose writes don't go home yet. */
async function underWay({ CONTROL, ...servers }: Servers): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const { rows } = await CONTROL.query<{ region: Region; pending: string; away: string }>(
    `select region, (mode <> 'HOME')::integer as away,
       (select count(*) from pending_write p where p.region = m.region) as pending from region_mode m`,
  )
  for (const { region, pending, away } of rows) {
    counts[`events queued for ${region}`] = Number(pending)
    counts[`region (${region}) does not take its own writes`] = Number(away)
  }
  for (const region of regions) {
    const outbox = await servers[region].query<{ pending: string }>(
      'select coalesce(sum(last_sequence - first_sequence + 1), 0) as pending from index_outbox',
    )
    counts[`events of ${region} that the index lacks`] = Number(outbox.rows[0]!.pending)
  }
  return counts
}

async function deadLetters({ CONTROL }: Servers): Promise<string[]> {
  const { rows } = await CONTROL.query<{ region: Region; reason: string; count: string }>(
    'select region, reason, count(*) from dead_letter group by region, reason',
  )
  return rows.map(({ region, reason, count }) => `${count} events of ${region} are dead letters (${reason})`)
}

/** Waits until nothing is queued anywhere; says what still is when patience ends. */
async function settle(servers: Servers, settleTimeoutMs: number): Promise<string[]> {
  const deadline = Date.now() + settleTimeoutMs
  for (;;) {
    const left = Object.entries(await underWay(servers)).filter(([, count]) => count > 0)
    if (left.length === 0) return []
    if (Date.now() > deadline)
      return left.map(([what, count]) => `${count} ${what}, ${settleTimeoutMs} ms after the end`)
    await wait(pollMs)
  }
}

/** Every checkpoint of a chain that is kept anywhere. */
async function keptCheckpoints(servers: Servers, { id, region }: FaultWorkspace): Promise<KeptCheckpoint[]> {
  const places: (readonly [string, Pool, string])[] = [
    ['the region', servers[region], 'checkpoint'],
    ["the region's history", servers[region], 'checkpoint_history'],
    ['control', servers.CONTROL, 'checkpoint_copy'],
    ...regions.map((other) => [other, servers[other], 'foreign_checkpoint'] as const),
  ]
  const kept = await Promise.all(
    places.map(async ([place, server, table]) => {
      const { rows } = await server.query<{ tree_size: string; root_hash: Buffer }>(
        `select tree_size, root_hash from ${table} where workspace_id = $1`,
        [id],
      )
      return rows.map((row) => ({ place, size: Number(row.tree_size), root: row.root_hash }))
    }),
  )
  return kept.flat()
}

const indexedColumns = [
  'project_id',
  'extract(epoch from occurred_at)',
  'extract(epoch from received_at)',
  'action',
  'category',
  'target_type',
  "encode(actor_id_tag, 'hex')",
  "encode(actor_email_tag, 'hex')",
  "encode(target_id_tag, 'hex')",
  "encode(trace_id_tag, 'hex')",
]

/** A line for each event of a workspace, for region and index to agree on. */
async function digestOf(server: Pool, table: string, id: string, workspaceId: string): Promise<Map<string, string>> {
  const { rows } = await server.query<{ id: string; digest: string }>(
    `select ${id} as id, md5(concat_ws('|', ${indexedColumns.map((column) => `coalesce(${column}::text, '-')`).join(', ')})) as digest
     from ${table} where workspace_id = $1`,
    [workspaceId],
  )
  return new Map(rows.map((row) => [row.id, row.digest]))
}

async function compareIndex(servers: Servers, { id, region }: FaultWorkspace): Promise<string[]> {
  const [stored, indexed] = await Promise.all([
    digestOf(servers[region], 'event', 'id', id),
    digestOf(servers.CONTROL, 'event_index', 'event_id', id),
  ])
  const missing = [...stored.keys()].filter((event) => !indexed.has(event)).length
  const surplus = [...indexed.keys()].filter((event) => !stored.has(event)).length
  const differing = [...stored].filter(([event, digest]) => (indexed.get(event) ?? digest) !== digest).length
  return missing + surplus + differing === 0
    ? []
    : [`the index lacks ${missing} events of ${region}, has ${surplus} that are not there and ${differing} other ones`]
}

/** Asks the service itself whether the chain is whole. */
async function verifyByApi(origin: string, workspace: FaultWorkspace, events: number): Promise<string[]> {
  const answer = await postGraphql<{ verifyChain: { ok: boolean; toSequence: number; firstBreak: unknown } | null }>(
    origin,
    { authorization: `Bearer ${workspace.apiKey}` },
    {
      query: `query ($id: ID!) { verifyChain(workspaceId: $id) { ok toSequence firstBreak { sequence reason } } }`,
      variables: { id: workspace.gid },
    },
    requestTimeoutMs,
  )
  const verified = answer.kind === 'failure' ? null : (answer.data?.verifyChain ?? null)
  if (verified === null) return [`verifyChain of ${workspace.region} failed: ${answer.code}`]
  const { ok, toSequence, firstBreak } = verified
  if (!ok) return [`verifyChain of ${workspace.region}: ${JSON.stringify(firstBreak)}`]
  return toSequence === events ? [] : [`verifyChain of ${workspace.region} saw ${toSequence} of ${events} events`]
}

/** Sends acknowledged events again: each key has to be answered with the event that is there, and none be recorded. */
async function replay(
  origin: string,
  workspace: FaultWorkspace,
  events: readonly AcknowledgedEvent[],
  stored: ReadonlyMap<string, StoredEvent>,
): Promise<string[]> {
  const answer = await postGraphql<IngestData>(
    origin,
    { authorization: `Bearer ${workspace.apiKey}` },
    {
      query: `mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId status sequence replayed } } }`,
      variables: { input: { events: events.map((event) => eventInput(event.client, event.workspace, event.number)) } },
    },
    requestTimeoutMs,
  )
  const receipts = answer.kind === 'answer' ? receiptsOf(answer.data) : undefined
  if (receipts === undefined)
    return [`${events.length} acknowledged events of ${workspace.region} could not be sent again: ${answer.code}`]
  return receipts.flatMap((receipt, index) => {
    const event = events[index]!
    const name = eventName(event.client, event.workspace, event.number)
    const there = stored.get(name)
    // One that is lost has been counted as such.
    if (there === undefined || isSame(workspace.region, receipt, there)) return []
    return [
      `sent again, ${name} is ${receipt.id} at ${receipt.sequence}, and ${there.id} at ${there.sequence} in the chain`,
    ]
  })
}

const isSame = (region: Region, receipt: Receipt, stored: StoredEvent): boolean =>
  receipt.id === encodeRegionalId('event', region, stored.id) && receipt.sequence === stored.sequence

/** Looks events up by the ids that clients were given: each has to lead to the event with its name. */
async function lookUp(
  origin: string,
  workspace: FaultWorkspace,
  events: readonly AcknowledgedEvent[],
): Promise<string[]> {
  const aliases = events.map((event, index) => `e${index}: event(id: "${event.id}") { action sequence }`)
  const answer = await postGraphql<Record<string, { action: string; sequence: number | null } | null>>(
    origin,
    { authorization: `Bearer ${workspace.apiKey}` },
    { query: `{ ${aliases.join('\n')} }`, variables: {} },
    requestTimeoutMs,
  )
  if (answer.kind === 'failure' || answer.data === null)
    return [`event(id) failed in ${workspace.region}: ${answer.code}`]
  const { data } = answer
  return events.flatMap((event, index) => {
    const name = eventName(event.client, event.workspace, event.number)
    const found = data[`e${index}`]
    return found?.action === name ? [] : [`event(${event.id}) is ${found?.action ?? 'nothing'} instead of ${name}`]
  })
}

function firstOf(faults: readonly string[]): string[] {
  const rest = faults.length - faultsMax
  return [...faults.slice(0, faultsMax), ...(rest > 0 ? [`… and ${rest} more things of that sort`] : [])]
}

/** Up to `size` at a time. */
function* inGroups<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let group: T[] = []
  for (const item of items) {
    group.push(item)
    if (group.length === size) {
      yield group
      group = []
    }
  }
  if (group.length > 0) yield group
}

async function checkWorkspace(world: FaultWorld, servers: Servers, streams: Streams, index: number): Promise<string[]> {
  const workspace = world.workspaces[index]!
  const origin = world.apis[index % world.apis.length]!.url
  const { region } = workspace
  const chain = await checkChain(servers[region], workspace.id, await keptCheckpoints(servers, workspace))
  const stored = streams.compare(index, region, chain.events)
  const faults = chain.faults.map((what) => `chain ${index} in ${region}: ${what}`)
  const acknowledged = [...streams.acknowledgedIn(index)]
  for (const event of acknowledged) {
    const there = stored.get(eventName(event.client, event.workspace, event.number))
    if (there === undefined || event.status === 'QUEUED' || isSame(region, event, there)) continue
    faults.push(`${there.action} was acknowledged as ${event.id} at ${event.sequence}, and stands at ${there.sequence}`)
  }
  faults.push(
    ...(await compareIndex(servers, workspace)),
    ...(await verifyByApi(origin, workspace, chain.events.length)),
  )
  for (const group of inGroups(acknowledged, eventsPerReplay))
    faults.push(...(await replay(origin, workspace, group, stored)))
  for (const group of inGroups(
    acknowledged.filter((event) => isWorthLookingUp(event, stored)),
    idsPerLookup,
  ))
    faults.push(...(await lookUp(origin, workspace, group)))
  const { rows } = await servers[region].query<{ count: string }>(
    'select count(*) from event where workspace_id = $1',
    [workspace.id],
  )
  if (Number(rows[0]!.count) > chain.events.length)
    faults.push(`chain ${index} in ${region} grew when events were sent again`)
  return faults
}

/** Each id that the database does not have as it was given, and a hundredth of the others. */
function isWorthLookingUp(event: AcknowledgedEvent, stored: ReadonlyMap<string, StoredEvent>): boolean {
  const there = stored.get(eventName(event.client, event.workspace, event.number))
  if (there === undefined) return false
  return parseGlobalId(event.id)?.uuid !== there.id || event.number % 100 === 0
}

/** Waits until the queues are empty, `settleTimeoutMs` at most, then holds everything servers were told against what is stored and answered. */
export async function checkRun(
  world: FaultWorld,
  attemptsFile: string,
  settleTimeoutMs: number,
  onProgress: (done: number, total: number) => void,
): Promise<CheckResult> {
  const servers = connect(world)
  try {
    const faults = [
      ...(await settle(servers, settleTimeoutMs)),
      ...(await deadLetters(servers)),
      ...(await checkHealth(world.apis[0]!.url, world.staff)),
    ]
    const streams = await Streams.read(attemptsFile)
    const total = world.workspaces.length
    let done = 0
    for (const group of inGroups(world.workspaces.keys(), chainsAtOnce)) {
      const found = await Promise.all(group.map((index) => checkWorkspace(world, servers, streams, index)))
      faults.push(...found.flat())
      onProgress((done += group.length), total)
    }
    return { counts: streams.counts, faults: firstOf([...streams.examples, ...faults]) }
  } finally {
    await Promise.all(Object.values(servers).map((server) => server.end()))
  }
}
