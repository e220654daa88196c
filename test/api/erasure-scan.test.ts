import { afterAll, beforeAll, expect, it } from 'vitest'
import { coldArchiveJob } from '../../src/archive/cold-archive.job.js'
import { type App, createApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { serverFolder, wishStart, wishStop } from '../../src/db/embedded/server-requests.js'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { encodeId } from '../../src/kernel/ids.js'
import type { Region } from '../../src/kernel/region.js'
import { loadRegionSettings } from '../../src/regions/region-data-store.store.js'
import { type StartedDatabases, startDatabases } from '../../src/start-databases.js'
import { createApiKey } from '../../src/workspaces/create-api-key.js'
import { createCompany } from '../../src/workspaces/create-company.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { pino } from 'pino'
import { asPerson, type Person } from '../harness/actors.js'
import { type GraphqlAnswer, sendGraphql, type World, type WorldCompany } from '../harness/app.js'
import { archiveNow, DAY_MS, indexed, runRegionJob } from '../harness/archive.js'
import { makeDataFolder, makeLog } from '../harness/data-folder.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest, type Trio } from '../harness/gdpr.js'
import { isHome } from '../harness/outage.js'
import {
  hits,
  keysOfActors,
  letterKeysOf,
  outsideOf,
  queryAt,
  readDisk,
  subjectKeysOf,
  tablesOf,
} from '../harness/read-disk.js'
import { hasRedis, needsRedis, TestRedis } from '../harness/redis.js'
import { setReplicas } from '../harness/replicas.js'
import {
  identifierFilters,
  mentionOf,
  mixed,
  needles,
  otherEvent,
  ownEvent,
  subjects,
  tagsOf,
  words,
} from '../harness/scanned-people.js'

/*
 * What is left on the disk of people who were erased: the whole service runs on servers of its own, with replicas, a queue,
 * dead letters, warm and cold archives, exports, a Redis and logs, and everything that it has ever written is looked
 * through, with all keys there are.
 */

const homes = ['AU', 'EU'] as const satisfies readonly Region[]

let folder: Awaited<ReturnType<typeof makeDataFolder>>
let config: Awaited<ReturnType<typeof readConfig>>
let databases: StartedDatabases
let redis: TestRedis | undefined
const lines: string[] = []
const urls = new Map<string, string>()
/** As the harness knows a world: app and URL are those of the process that runs now. */
const world = {} as { app: App; url: string }
const asWorld = world as unknown as World

async function start(): Promise<void> {
  databases = await startDatabases(config, makeLog().log)
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
  world.app = await createApp({ config, ...databases, log })
  world.url = `${await world.app.listen()}/graphql`
  urls.set('CONTROL', superuser(databases.controlOwnerUrl, 'control'))
  for (const [region, settings] of await loadRegionSettings(world.app.control, world.app.secrets))
    urls.set(region, superuser(settings.databaseUrl, region))
}
async function stop(): Promise<void> {
  await world.app.close()
  await databases.stop()
}
function superuser(serviceUrl: string, name: string): string {
  if (config.databases.mode !== 'embedded') throw new Error('not the embedded servers')
  const swapped = new URL(serviceUrl)
  const passwords = config.databases.passwords as Readonly<Record<string, { superuser: string }>>
  swapped.username = 'postgres'
  swapped.password = passwords[name]!.superuser
  return swapped.href
}
const at = <Row extends object>(database: string, sql: string, values: readonly unknown[] = []): Promise<Row[]> =>
  queryAt<Row>(urls.get(database)!, sql, values)

beforeAll(async () => {
  folder = await makeDataFolder()
  if (hasRedis) redis = await TestRedis.start()
  config = await readConfig({
    DATA_DIR: folder.path,
    SEED_DEMO: 'false',
    PORT: '0',
    LOG_LEVEL: 'trace',
    JOB_SCHEDULES: JSON.stringify(
      Object.fromEntries(
        ['gdpr', 'retention', 'archive', 'cold-archive', 'replication'].map((job) => [job, '0 0 1 1 *']),
      ),
    ),
    ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
  })
  await start()
}, 120_000)
afterAll(async () => {
  await stop()
  await redis?.stop()
  await folder.remove()
})

interface Evidence {
  readonly region: string
  readonly store: string
  readonly records: number
}

interface Chain {
  readonly name: string
  readonly region: Region
  readonly id: string
  readonly gid: string
  readonly key: string
}

async function ask(
  key: string,
  query: string,
  variables: Record<string, unknown> = {},
): Promise<GraphqlAnswer['data']> {
  const answer = await sendGraphql(world.url, key, query, variables)
  if (answer.errors !== undefined) throw new Error(`${query}: ${JSON.stringify(answer.errors)}`)
  return answer.data
}
async function tell(person: Person, query: string): Promise<GraphqlAnswer['data']> {
  const answer = await person.gql(query)
  if (answer.errors !== undefined) throw new Error(`${query}: ${JSON.stringify(answer.errors)}`)
  return answer.data
}

async function makeChain(companyId: string, region: Region, name: string, retentionDays?: number): Promise<Chain> {
  const { control, clock } = world.app
  const input = { companyId, name: `${name} ${region}`, dataRegion: region }
  const { id } = await createWorkspace(
    { control, clock },
    retentionDays === undefined ? input : { ...input, retentionDays },
  )
  const { secret } = await createApiKey(
    { control, pepper: config.apiKeyPepper, clock },
    { companyId, name: 'k', scope: 'WORKSPACE', workspaceId: id },
  )
  return { name, region, id, gid: encodeId('workspace', id), key: secret }
}

const record = async (chain: Chain, events: readonly object[]): Promise<{ eventId: string; status: string }[]> =>
  (
    await ask(
      chain.key,
      'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId status } } }',
      { input: { events } },
    )
  ).ingestEvents.receipts

/** Every place where an event of theirs, or that mentions them, can be. */
async function fillPlaces(companyId: string, company: WorldCompany, staff: Person): Promise<Chain[]> {
  await setReplicas(staff, company, ['US', 'APAC'])
  const chains: Chain[] = []
  for (const region of homes) {
    const cold = await makeChain(companyId, region, 'cold', 1)
    await record(cold, mixed(20, 10, 2))
    await archiveAsOf(region, 2, 44)
    const clock = { now: () => new Date(Date.now() + 400 * DAY_MS) }
    expect(await runRegionJob(coldArchiveJob({ ...world.app.archive, clock }), region)).toBe(1)
    const warm = await makeChain(companyId, region, 'warm', 1)
    await record(warm, mixed(20, 10, 2))
    await archiveAsOf(region, 2, 44)
    const hot = await makeChain(companyId, region, 'hot')
    await record(hot, mixed(60, 30, 5))
    chains.push(cold, warm, hot)
  }
  await replicated('US', chains)
  await replicated('APAC', chains)
  // A region that had replicas, and has not any more.
  await setReplicas(staff, company, ['US'])
  await eventually('the replicas in APAC to be purged', async () => {
    const [row] = await at<{ n: string }>('APAC', 'select count(*) as n from replica.chain_head')
    return row!.n === '0'
  })
  await queueSome(
    chains.find(({ name, region }) => name === 'hot' && region === 'EU')!,
    staff,
  )
  await replicated('US', chains)
  return chains
}

async function archiveAsOf(region: Region, days: number, events: number): Promise<void> {
  const clock = { now: () => new Date(Date.now() + days * DAY_MS) }
  expect(await archiveNow(world, region, { clock })).toBe(events)
}

/** Queued and brought home, but for four that can't be: one of each subject, one that mentions one, and somebody else's. */
async function queueSome(chain: Chain, staff: Person): Promise<void> {
  const keys = ['dead-0', 'dead-1', 'dead-2', 'dead-3']
  await record(
    chain,
    keys.map((idempotencyKey, i) => otherEvent(i, { idempotencyKey })),
  )
  const change = (field: string) =>
    tell(
      staff,
      `mutation { ${field}(input: { region: ${chain.region}, reason: "drill" }) { regionHealth { region } } }`,
    )
  await change('triggerFailover')
  const receipts = await record(chain, [
    ...mixed(5, 3, 2).map((event) => ({ ...event, idempotencyKey: null })),
    ownEvent(subjects.DELETE, 100, { idempotencyKey: 'dead-0' }),
    ownEvent(subjects.ANONYMIZE, 101, { idempotencyKey: 'dead-1' }),
    mentionOf(subjects.DELETE, 102, { idempotencyKey: 'dead-2' }),
    otherEvent(103, { idempotencyKey: 'dead-3' }),
  ])
  expect(new Set(receipts.map(({ status }) => status))).toEqual(new Set(['QUEUED']))
  await change('endFailover')
  await isHome(world, chain.region)
  const letters = await at<{ n: string }>('CONTROL', 'select count(*) as n from dead_letter')
  expect(letters).toEqual([{ n: '4' }])
}

/** Waits until a region's replicas have all that their homes have. */
async function replicated(region: Region, chains: readonly Chain[]): Promise<void> {
  for (const { id, region: home } of chains) {
    const [head] = await at<{ n: string }>(home, 'select sequence as n from chain_head where workspace_id = $1', [id])
    await eventually(`${home} in ${region}`, async () => {
      const [copy] = await at<{ n: string; state: string; filled: boolean }>(
        region,
        'select sequence as n, state, filled_at is not null as filled from replica.chain_head where workspace_id = $1',
        [id],
      )
      return copy !== undefined && copy.state === 'COPYING' && copy.filled && Number(copy.n) >= Number(head!.n)
    })
  }
}

const inRedis = async (): Promise<Awaited<ReturnType<TestRedis['dump']>>> => (await redis?.dump()) ?? []

/** Reads a page, and has Redis keep it where there is one. */
async function shown(page: () => Promise<unknown>): Promise<void> {
  const held = async (): Promise<string> => JSON.stringify(await inRedis())
  const before = await held()
  // Asked for again unchanged.
  await eventually('the page is in Redis', async () => {
    await page()
    return redis === undefined || (await held()) !== before
  })
}

/** Exports, pages in Redis, searches, and a refusal that quotes what was asked. */
async function look(chains: readonly Chain[]): Promise<void> {
  const hot = chains.filter(({ name }) => name === 'hot')
  for (const { gid, key } of hot) {
    const asked = await ask(
      key,
      `mutation { requestExport(input: { workspaceId: "${gid}", format: NDJSON }) { export { id } } }`,
    )
    const query = `{ export(id: "${asked.requestExport.export.id}") { status } }`
    await eventually('the export', async () => (await ask(key, query)).export.status === 'DONE')
    for (const filter of ['', ...identifierFilters])
      await shown(async () => {
        await ask(key, `{ workspaceEvents(filter: { ${filter} }) { nodes { actor { name } payload } } }`)
      })
  }
  const refused = `{ workspaceEvents(filter: { actorEmail: ["${subjects.DELETE.email}", 1] }) { nodes { id } } }`
  expect((await sendGraphql(world.url, hot[0]!.key, refused)).errors).toBeDefined()
}

/** How many events searches find by the old identifiers, archived ones too where `everywhere` says so. */
async function found(chain: Chain, everywhere: boolean): Promise<{ events: number; servedBy: ReadonlySet<string> }> {
  let events = 0
  const servedBy = new Set<string>()
  for (const filter of identifierFilters) {
    const { workspaceEvents } = await ask(
      chain.key,
      `{ workspaceEvents(filter: { includeArchived: ${everywhere}, ${filter} }) { edges { cursor } region { servedBy } } }`,
    )
    events += workspaceEvents.edges.length
    servedBy.add(workspaceEvents.region.servedBy)
  }
  return { events, servedBy }
}

const verify = async (chain: Chain) =>
  (
    await ask(
      chain.key,
      `{ verifyChain(workspaceId: "${chain.gid}") { ok erasedEvents servedBy firstBreak { sequence reason } } }`,
    )
  ).verifyChain

/** That all of it still verifies, and nobody is found by what they were. */
async function expectSound(chains: readonly Chain[], trio: Trio): Promise<void> {
  for (const chain of chains) {
    expect(await verify(chain)).toMatchObject({ ok: true, firstBreak: null, servedBy: chain.region })
    expect((await verify(chain)).erasedEvents).toBeGreaterThanOrEqual(24)
    expect((await found(chain, true)).events).toBe(0)
    if (chain.name === 'hot') continue
    const { archiveObjects } = await ask(
      chain.key,
      `{ archiveObjects(workspaceId: "${chain.gid}") { nodes { id storageClass } } }`,
    )
    const [{ id, storageClass }] = archiveObjects.nodes
    expect(storageClass).toBe(chain.name === 'cold' ? 'COLD' : 'WARM')
    if (storageClass === 'COLD')
      await tell(
        trio.approver,
        `mutation { requestRestore(input: { archiveObjectId: "${id}" }) { archiveObject { id } } }`,
      )
    const { verifyArchive } = await tell(
      trio.approver,
      `mutation { verifyArchive(archiveObjectId: "${id}") { verdict } }`,
    )
    expect(verifyArchive.verdict).toBe('OK_WITH_ERASURES')
  }
  const stopped = await at('US', `select workspace_id from replica.chain_head where state <> 'COPYING'`)
  expect(stopped).toEqual([])
}

it(
  `nothing of an erased subject is found on the disk, wherever it was, with all keys there are${needsRedis}`,
  { timeout: 240_000 },
  async () => {
    const { control, secrets, clock } = world.app
    const made = await createCompany(
      { control, secrets, clock },
      { name: 'Acme', dataRegion: 'EU', retentionDays: 365 },
    )
    const company = { ...made, gid: encodeId('company', made.id) } as WorldCompany
    const staff = await asPerson(asWorld, { staffRole: 'SUPER_ADMIN' })
    const trio = await makeTrio(asWorld, company)
    const chains = await fillPlaces(made.id, company, staff)
    await look(chains)
    await indexed(world)
    const tags = tagsOf(await world.app.facts.tagKey(made.id))

    // The control: what is looked for is there, in every form in which it is kept.
    const tabled = hits(await tablesOf(urls), tags)
    for (const table of [
      'EU.event',
      'EU.archived_event',
      'US.replica.event',
      'CONTROL.dead_letter',
      'CONTROL.event_index',
    ])
      expect(tabled.filter((hit) => hit.endsWith(` in ${table}`))).not.toEqual([])
    const before = await subjectKeysOf(urls)
    const letters = await letterKeysOf(urls.get('CONTROL')!)
    const ownKeys = await keysOfActors(urls, letters, tags)
    expect(letters.size).toBe(4)
    const requests: string[] = []
    for (const [requestType, { id, email, name }] of Object.entries(subjects))
      requests.push(
        await approvedRequest(trio, {
          companyId: company.gid,
          requestType,
          actorId: id,
          actorEmail: email,
          reason: `asked for by ${name}`,
        }),
      )
    const keys = [...(await subjectKeysOf(urls)), ...[...letters.values()].flat()]
    for (const { id } of keys) {
      const isOfRequest =
        !before.some((key) => key.id === id) && ![...letters.values()].flat().some((key) => key.id === id)
      if (isOfRequest) ownKeys.add(id)
    }
    expect((await inRedis()).length > 2).toBe(hasRedis)
    await stop()
    const vault = { directory: config.keyVaultDir, masterKeys: config.regionMasterKeys, clock }
    const readAll = () => readDisk(folder.path, vault, { keys, words, needles, tags })
    const first = await readAll()
    expect(first.recovered).toEqual(new Set(keys.map(({ id }) => id)))
    const read = [...first.said].flatMap(([key, paths]) => (ownKeys.has(key) ? [...paths] : []))
    for (const place of ['au', 'eu', 'us', 'apac', 'control'])
      for (const where of ['base', 'pg_wal'])
        expect(read.some((path) => path.startsWith(`${place}/${where}/`))).toBe(true)
    for (const region of ['au', 'eu'])
      for (const place of ['warm', 'cold'])
        expect(read.some((path) => path.startsWith(`cold/${region}/${place}/`) && path.endsWith('unsealed'))).toBe(true)
    expect(first.plain.filter((hit) => hit.includes('exports')).length).toBeGreaterThan(4)
    expect(first.plain.filter((hit) => !hit.includes('exports'))).toEqual([])
    expect(first.objects).toHaveLength(4)
    expect(first.tagged.some((hit) => / in apac\/base\//.test(hit))).toBe(true)

    await start()
    await eventually(
      'the requests to be done',
      async () => {
        await eraseRequests(world.app.erasure, new AbortController().signal)
        const all = await Promise.all(requests.map((id) => readRequest(trio.staff, id)))
        return all.every(({ status }) => status === 'DONE')
      },
      60_000,
    )
    for (const id of requests) {
      const { evidence } = await readRequest(trio.staff, id)
      const left = (region: Region, store: string): unknown =>
        evidence.find((one: Evidence) => one.region === region && one.store === store)?.records
      const others = 'earlier versions of other events in the log'
      // Hot, warm and cold ones, and what was queued.
      expect([left('AU', others), left('EU', others)]).toEqual([9, 11])
      expect(left('US', 'earlier versions of other replicated events in the log')).toBe(12)
      expect(left('EU', 'pending queue')).toBe(0)
    }
    // Before anybody has looked at anything again.
    expect(hits(await tablesOf(urls), [...needles, ...tags])).toEqual([])
    expect(hits(await inRedis(), [...needles, ...tags])).toEqual([])
    await expectSound(chains, trio)
    expect(
      hits(
        lines.map((line) => ({ where: 'the log', bytes: Buffer.from(line) })),
        needles,
      ),
    ).toEqual([])
    await stop()
    const second = await readAll()
    expect(second.plain).toEqual([])
    expect(second.tagged.filter((hit) => !/pg_wal|pg_stat/.test(hit))).toEqual([])
    // No key of theirs, nor of their requests, is to be had from anything; every other is.
    expect([...second.recovered].filter((key) => ownKeys.has(key))).toEqual([])
    expect(second.recovered.size).toBe(new Set(keys.map(({ id }) => id)).size - ownKeys.size)
    // What others' keys still open is what the evidence owns up to: earlier versions of what mentioned them, in logs.
    expect(outsideOf(second.said, /^(?:au|eu|us|apac|control)\/pg_wal\//)).toEqual([])

    // And where home is not there at all, a replica finds no more than it would.
    const [stopped] = homes
    wishStop(folder.path, serverFolder(stopped))
    await start()
    const hot = chains.find(({ name, region }) => name === 'hot' && region === stopped)!
    expect(await found(hot, false)).toEqual({ events: 0, servedBy: new Set(['US']) })
    expect(await verify(hot)).toMatchObject({ ok: true, firstBreak: null, servedBy: 'US' })
    wishStart(folder.path, serverFolder(stopped))
  },
)
