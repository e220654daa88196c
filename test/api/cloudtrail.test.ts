import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHyreLogClient, type AuditEvent, type EventFilter, type HyreLogClient } from '../../src/sdk/index.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import { makeCli, type Cli, type CliResult } from '../harness/cli.js'
import { eventually } from '../harness/eventually.js'

interface TrailRecord {
  readonly eventID: string
  readonly eventTime: string
  readonly eventSource: string
  readonly eventName: string
  readonly eventCategory: string
  readonly requestID?: string
  readonly userIdentity: { readonly arn?: string; readonly userName?: string }
  readonly resources?: readonly { readonly ARN?: string; readonly type?: string }[]
}

/** A year's worth of delivered files where there are any; else the sample that comes with the tests. */
function trailFolder(): string {
  const candidates = [
    process.env['CLOUDTRAIL_DIR'],
    fileURLToPath(new URL('../../../shared/data/cloudtrail', import.meta.url)),
    fileURLToPath(new URL('./cloudtrail-sample', import.meta.url)),
  ]
  const found = candidates.find((folder) => folder !== undefined && existsSync(folder))
  if (found === undefined) throw new Error('no CloudTrail files')
  return found
}

const folder = trailFolder()
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => join(folder, name))
const records = files.flatMap((file) => (JSON.parse(readFileSync(file, 'utf8')) as { Records: TrailRecord[] }).Records)
const noisePerRegion = 15

let world: World
let workspace: WorldWorkspace
let client: HyreLogClient
let cli: Cli
let ingest: () => Promise<CliResult>

beforeAll(async () => {
  cli = makeCli()
  world = await createWorld()
  workspace = world.acme.in.EU
  client = createHyreLogClient({ endpoint: world.url, apiKey: world.acme.key })
  ingest = () =>
    cli.run(['ingest', '--project', workspace.project.gid, ...files], {
      env: { HYRELOG_ENDPOINT: world.url, HYRELOG_API_KEY: workspace.key },
    })
  // Events of the other regions at the same times, so that pages have something to merge.
  for (const region of ['AU', 'US', 'APAC'] as const)
    await world.record(
      world.acme.in[region],
      records.slice(0, noisePerRegion).map(({ eventTime }) => ({
        action: 'noise.made',
        category: 'noise',
        occurredAt: eventTime,
      })),
    )
})
afterAll(async () => {
  cli?.remove()
  await world?.close()
})

async function search(filter: EventFilter, pageSize = 100): Promise<AuditEvent[]> {
  const events: AuditEvent[] = []
  for await (const event of client.iterateGlobalEvents({ filter, pageSize })) events.push(event)
  return events
}
const idsOf = (events: readonly AuditEvent[]): string[] =>
  events.map((event) => String(event.payload['eventID'])).sort()
const idsWhere = (matches: (record: TrailRecord) => boolean): string[] =>
  records
    .filter(matches)
    .map((record) => record.eventID)
    .sort()

/** The value most of the records have, of those that have one. */
function mostFrequent(valueOf: (record: TrailRecord) => string | undefined): string {
  const counts = new Map<string, number>()
  for (const record of records) {
    const value = valueOf(record)
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1)
  }
  const [most] = [...counts].sort(([, a], [, b]) => b - a)
  if (most === undefined) throw new Error('no record has a value')
  return most[0]
}

const actionOf = (record: TrailRecord): string =>
  `${record.eventSource.replace('.amazonaws.com', '')}:${record.eventName}`
const resourceOf = (record: TrailRecord) => record.resources?.find(({ ARN }) => ARN !== undefined)
const emailOf = ({ userIdentity }: TrailRecord): string | undefined =>
  userIdentity.userName?.includes('@') === true ? userIdentity.userName : undefined

describe('CloudTrail files', () => {
  test('are recorded whole, and a second time not at all', async () => {
    const all = records.length
    expect(all).toBeGreaterThan(50)
    expect(await ingest()).toEqual({
      code: 0,
      stdout: `${all} read, ${all} recorded, 0 replayed, 0 refused\n`,
      stderr: '',
    })
    expect(await ingest()).toEqual({
      code: 0,
      stdout: `${all} read, 0 recorded, ${all} replayed, 0 refused\n`,
      stderr: '',
    })
    const sequences = (await search({ workspaceId: workspace.gid }))
      .map((event) => event.sequence)
      .sort((a, b) => a - b)
    expect(sequences).toEqual(records.map((_, index) => index + 1))
  })

  test('are found by globalEvents among those of four regions, newest first, none lost and none twice', async () => {
    const events = await search({}, 37)
    expect(events).toHaveLength(records.length + 3 * noisePerRegion)
    expect(new Set(events.map((event) => event.id)).size).toBe(events.length)
    expect(idsOf(events.filter((event) => event.dataRegion === 'EU'))).toEqual(idsWhere(() => true))
    const keys = events.map((event) => `${event.occurredAt} ${event.id.slice(event.id.lastIndexOf('_'))}`)
    expect(keys).toEqual(keys.toSorted().toReversed())
  })

  test('keep what they say', async () => {
    const record = records.find(({ userIdentity }) => userIdentity.arn !== undefined)
    if (record?.requestID === undefined) throw new Error('the first record with an ARN has no request id')
    const found = (await search({ traceId: record.requestID })).find(
      (event) => event.payload['eventID'] === record.eventID,
    )
    expect(found).toMatchObject({
      action: actionOf(record),
      category: record.eventCategory,
      actor: { id: record.userIdentity.arn },
      occurredAt: new Date(record.eventTime).toISOString(),
      project: { id: workspace.project.gid },
      payload: { userIdentity: record.userIdentity },
    })
  })

  const times = records.map((record) => record.eventTime).sort()
  const from = times[Math.floor(times.length * 0.3)] ?? ''
  const to = times[Math.floor(times.length * 0.6)] ?? ''
  const isBetween = ({ eventTime }: TrailRecord): boolean => eventTime >= from && eventTime < to
  const action = mostFrequent(actionOf)
  const actor = mostFrequent((record) => record.userIdentity.arn)
  const trace = mostFrequent((record) => record.requestID)
  const target = mostFrequent((record) => resourceOf(record)?.ARN)
  const targetType = mostFrequent((record) => resourceOf(record)?.type)
  const email = records.map(emailOf).find((found) => found !== undefined) ?? 'nobody@example.com'

  // Where a record lists no resource, its target may still be one of that type, told by the request.
  const cases: readonly (readonly [string, EventFilter, (record: TrailRecord) => boolean, 'exactly' | 'at least'])[] = [
    ['from and to', { from, to, categories: ['Management'] }, isBetween, 'exactly'],
    ['actions', { actions: [action, 'no:Such'] }, (record) => actionOf(record) === action, 'exactly'],
    ['categories', { categories: ['Management'] }, (record) => record.eventCategory === 'Management', 'exactly'],
    ['actorId', { actorId: actor }, (record) => record.userIdentity.arn === actor, 'exactly'],
    ['actorEmail', { actorEmail: email.toUpperCase() }, (record) => emailOf(record) === email, 'exactly'],
    ['targetType', { targetType }, (record) => resourceOf(record)?.type === targetType, 'at least'],
    ['targetId', { targetId: target }, (record) => resourceOf(record)?.ARN === target, 'at least'],
    ['traceId', { traceId: trace }, (record) => record.requestID === trace, 'exactly'],
  ]
  test.each(cases)('are found by %s', async (_, filter, matches, how) => {
    const found = idsOf(await search(filter))
    const expected = idsWhere(matches)
    const others = found.filter((id) => !expected.includes(id))
    expect(found.filter((id) => expected.includes(id))).toEqual(expected)
    expect(new Set(found).size).toBe(found.length)
    expect(how === 'exactly' ? others : []).toEqual([])
  })

  test('are found by workspaceId and projectId, alone and with other filters', async () => {
    const all = idsWhere(() => true)
    expect(idsOf(await search({ workspaceId: workspace.gid }))).toEqual(all)
    expect(idsOf(await search({ projectId: workspace.project.gid }))).toEqual(all)
    const combined = {
      workspaceId: workspace.gid,
      projectId: workspace.project.gid,
      actions: [action],
      actorId: actor,
      from,
      to,
    }
    expect(idsOf(await search(combined))).toEqual(
      idsWhere((record) => actionOf(record) === action && record.userIdentity.arn === actor && isBetween(record)),
    )
    expect(await search({ workspaceId: world.acme.in.AU.gid, actions: [action] })).toEqual([])
  })

  test('are counted by the global index', async () => {
    const filter = { actions: [action] }
    const expected = idsWhere((record) => actionOf(record) === action).length
    const total = await eventually('the index knows every event', async () => {
      const { globalEvents } = await client.globalEvents({ filter, first: 1, withTotal: true })
      return globalEvents?.totalCount === expected ? globalEvents : undefined
    })
    expect(total.totalCountIsExact).toBe(true)
  })
})
