import type { KeyObject } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type App, createApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import type { Region } from '../../src/kernel/region.js'
import { encodeId } from '../../src/kernel/ids.js'
import { loadRegionSettings } from '../../src/regions/region-data-store.store.js'
import { DirectoryKeyVault } from '../../src/sealing/key-vault.js'
import type { BlobName } from '../../src/sealing/sealed-blob.js'
import { unwrapKey } from '../../src/sealing/subject-keys.js'
import { equalityTag } from '../../src/sealing/tags.js'
import { type StartedDatabases, startDatabases } from '../../src/start-databases.js'
import { createApiKey } from '../../src/workspaces/create-api-key.js'
import { createCompany } from '../../src/workspaces/create-company.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { sendGraphql, type World } from '../harness/app.js'
import { makeDataFolder, makeLog } from '../harness/data-folder.js'
import { filesBelow, type Needle, needlesOf, NeedleSet, openBlobs } from '../harness/disk-scan.js'
import { archiveNow, DAY_MS, indexed } from '../harness/archive.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest } from '../harness/gdpr.js'

/*
 * What is left on the disk of somebody who was erased: the whole service runs on servers of its own, with their logs and
 * exports, and everything that it has ever written is looked through.
 */

const subject = { id: 'kunde-47110815', email: 'Zoë.Quint@Leute.Example', name: 'Zoë Ärmel-Quint' }
const secretWords = Object.values(subject)
const needles: Needle[] = Object.entries(subject).flatMap(([name, text]) => needlesOf(name, text))
const homes = ['AU', 'EU'] as const satisfies readonly Region[]

let folder: Awaited<ReturnType<typeof makeDataFolder>>
let config: Awaited<ReturnType<typeof readConfig>>
let databases: StartedDatabases
let app: App
let url: string
const lines: string[] = []
const urls = new Map<string, string>()

async function start(): Promise<void> {
  databases = await startDatabases(config, makeLog().log)
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
  app = await createApp({ config, ...databases, log })
  url = `${await app.listen()}/graphql`
  urls.set('CONTROL', superuser(databases.controlOwnerUrl, 'control'))
  for (const [region, settings] of await loadRegionSettings(app.control, app.secrets))
    urls.set(region, superuser(settings.databaseUrl, region))
}
async function stop(): Promise<void> {
  await app.close()
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

beforeAll(async () => {
  folder = await makeDataFolder()
  config = await readConfig({
    DATA_DIR: folder.path,
    SEED_DEMO: 'false',
    PORT: '0',
    LOG_LEVEL: 'trace',
    JOB_SCHEDULES: '{"gdpr":"0 0 1 1 *"}',
  })
  await start()
})
afterAll(async () => {
  await stop()
  await folder.remove()
})

/** Everything that every table holds, as text. */
async function tables(): Promise<{ where: string; bytes: Buffer }[]> {
  const found: { where: string; bytes: Buffer }[] = []
  for (const [name, address] of urls) {
    const client = new Client({ connectionString: address })
    await client.connect()
    const { rows } = await client.query<{ name: string }>(
      `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'm') and n.nspname not in ('information_schema')`,
    )
    for (const { name: table } of rows) {
      const content = await client.query<{ text: string | null }>(
        `select string_agg(t::text, E'\\n') as text from ${table} t`,
      )
      found.push({ where: `${name}.${table}`, bytes: Buffer.from(content.rows[0]?.text ?? '', 'utf8') })
    }
    await client.end()
  }
  return found
}

const hits = (places: readonly { where: string; bytes: Buffer }[], wanted: readonly Needle[]): string[] => {
  const set = new NeedleSet(wanted)
  return places.flatMap(({ where, bytes }) => [...set.placesIn(bytes).keys()].map(({ name }) => `${name} in ${where}`))
}

interface KeyRow {
  readonly region: Region
  readonly id: string
  readonly company_id: string
  readonly blob: BlobName
  readonly bucket: number
  readonly generation: number
  readonly wrapped: Buffer
}
async function keyRows(): Promise<KeyRow[]> {
  const all: KeyRow[] = []
  for (const region of homes) {
    const client = new Client({ connectionString: urls.get(region)! })
    await client.connect()
    const { rows } = await client.query<Omit<KeyRow, 'region'>>(
      'select id, company_id, blob, bucket, generation, wrapped from subject_key',
    )
    all.push(...rows.map((row) => ({ ...row, region })))
    await client.end()
  }
  return all
}
const newVault = () =>
  new DirectoryKeyVault({
    directory: config.keyVaultDir,
    masterKeys: config.regionMasterKeys,
    clock: { now: () => new Date() },
  })
async function liveBucketKeys(): Promise<{ region: Region; key: KeyObject }[]> {
  const vault = newVault()
  const keys: { region: Region; key: KeyObject }[] = []
  for (const region of homes)
    for (const name of await readdir(join(config.keyVaultDir, region.toLowerCase()))) {
      const match = /^bucket-([0-9a-f]{2})(?:\.(\d+))?\.key$/.exec(name)
      if (match !== null)
        keys.push({ region, key: await vault.bucketKey(region, parseInt(match[1]!, 16), Number(match[2] ?? 0)) })
    }
  return keys
}

const WRAPPED_BYTES = 61
const ROW_BYTES = 400

/** The key of a row, where a live bucket key still opens it near one of these places, as an old version of the row. */
function recoverKey(
  bytes: Buffer,
  row: KeyRow,
  places: readonly number[],
  bucketKeys: readonly { region: Region; key: KeyObject }[],
): KeyObject | null {
  for (const at of places)
    for (let from = at; from < Math.min(at + ROW_BYTES, bytes.length - WRAPPED_BYTES); from++) {
      if (bytes[from] !== 1) continue
      const wrapped = bytes.subarray(from, from + WRAPPED_BYTES)
      for (const { region, key } of bucketKeys) {
        if (region !== row.region) continue
        try {
          return unwrapKey(key, region, { ...row, wrapped })
        } catch {
          // Not this key, or no wrapped key at all: that is what is being found out.
        }
      }
    }
  return null
}

/** What can be read on the whole disk with all keys there are; the servers are stopped meanwhile. */
async function readDisk(rows: readonly KeyRow[], tags: readonly Needle[]) {
  const bucketKeys = await liveBucketKeys()
  const said = new Map<string, number>()
  const plain: string[] = []
  const tagged: string[] = []
  const keys = new Map<string, KeyObject>()
  const sealed: { row: KeyRow; bytes: Buffer; places: readonly number[] }[] = []
  const ids = new Map<Needle, KeyRow>(
    rows.map((row) => [{ name: row.id, bytes: Buffer.from(row.id.replaceAll('-', ''), 'hex') }, row]),
  )
  const isTag = new Set(tags)
  const set = new NeedleSet([...needles, ...tags, ...ids.keys()])
  let objects = 0
  for await (const { path, bytes } of filesBelow(folder.path)) {
    if (path.endsWith('.ndjson.zst')) objects++
    for (const [needle, places] of set.placesIn(bytes)) {
      const row = ids.get(needle)
      if (row === undefined) {
        const list = isTag.has(needle) ? tagged : plain
        list.push(`${needle.name} in ${path.slice(folder.path.length + 1)}`)
        continue
      }
      sealed.push({ row, bytes, places })
      if (keys.has(row.id)) continue
      const key = recoverKey(bytes, row, places, bucketKeys)
      if (key !== null) keys.set(row.id, key)
    }
  }
  for (const { row, bytes, places } of sealed) {
    const key = keys.get(row.id)
    if (key === undefined) continue
    for (const text of openBlobs(bytes, places, key))
      if (secretWords.some((word) => text.toLowerCase().includes(word.toLowerCase())))
        said.set(row.id, (said.get(row.id) ?? 0) + 1)
  }
  return { recovered: new Set(keys.keys()), said, plain, tagged, objects }
}

it(
  'nothing of an erased subject is found on the disk, in tables, logs and exports, with all keys there are',
  { timeout: 180_000 },
  async () => {
    const deps = { control: app.control, secrets: app.secrets, clock: app.clock }
    const company = await createCompany(deps, { name: 'Acme', dataRegion: 'EU', retentionDays: 365 })
    const record = async (
      region: Region,
      events: readonly object[],
      more: { name?: string; retentionDays?: number } = {},
    ): Promise<{ key: string; gid: string }> => {
      const workspace = await createWorkspace(deps, {
        companyId: company.id,
        name: region,
        dataRegion: region,
        ...more,
      })
      const { secret } = await createApiKey(
        { control: app.control, pepper: config.apiKeyPepper, clock: app.clock },
        { companyId: company.id, name: 'k', scope: 'WORKSPACE', workspaceId: workspace.id },
      )
      const answer = await sendGraphql(
        url,
        secret,
        'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { sequence } } }',
        { input: { events } },
      )
      expect(answer.errors).toBeUndefined()
      return { key: secret, gid: encodeId('workspace', workspace.id) }
    }
    const world = { url, app } as World
    const trio = await makeTrio(world, { ...company, gid: encodeId('company', company.id) } as World['acme'])
    const places: { key: string; gid: string }[] = []
    for (const region of homes) {
      const others = Array.from({ length: 120 }, (_, i) => ({
        action: 'doc.read',
        category: 'docs',
        actor: { id: `other-${i % 40}` },
        payload: { i, filler: 'x'.repeat(200) },
      }))
      const own = Array.from({ length: 30 }, (_, i) => ({
        action: 'doc.write',
        category: 'docs',
        actor: subject,
        target: { id: subject.id, type: 'user' },
        payload: { i, text: `${subject.name} <${subject.email}>` },
        traceId: subject.id,
        idempotencyKey: `key-${i}`,
      }))
      const mentions = Array.from({ length: 5 }, (_, i) => ({
        action: 'mail.sent',
        category: 'mail',
        actor: { id: 'other-1' },
        target: { id: subject.email },
        payload: { i, to: subject.email },
      }))
      places.push(await record(region, [...others, ...own, ...mentions]))
      // And a chain whose events are all in the archive.
      const some = [...others.slice(0, 20), ...own.slice(0, 10), ...mentions.slice(0, 2)]
      await record(region, some, { name: `${region} archived`, retentionDays: 1 })
    }
    await indexed({ app })
    const later = new Date(Date.now() + 2 * DAY_MS)
    for (const region of homes)
      expect(await archiveNow({ app }, region, { clock: { now: () => later } })).toBeGreaterThanOrEqual(32)
    const asked = await sendGraphql(
      url,
      places[1]!.key,
      `mutation { requestExport(input: { workspaceId: "${places[1]!.gid}", format: NDJSON }) { export { id } } }`,
    )
    const exportQuery = `{ export(id: "${asked.data.requestExport.export.id}") { status } }`
    await eventually(
      'the export',
      async () => (await sendGraphql(url, places[1]!.key, exportQuery)).data.export.status === 'DONE',
    )
    // Searches, and a refusal that quotes what was asked.
    for (const filter of [`actorEmail: "${subject.email}"`, `targetId: "${subject.id}"`])
      await sendGraphql(
        url,
        places[0]!.key,
        `{ workspaceEvents(filter: { ${filter} }) { nodes { actor { name } payload } } }`,
      )
    await sendGraphql(
      url,
      places[0]!.key,
      `{ workspaceEvents(filter: { actorEmail: ["${subject.email}", 1] }) { nodes { id } } }`,
    )
    await eventually('the index', async () =>
      (await Promise.all(homes.map((region) => app.indexer.pendingOf(region)))).every((pending) => pending === 0),
    )

    const tagKey = await app.facts.tagKey(company.id)
    const tags: Needle[] = [
      ['actor.id', subject.id],
      ['actor.email', subject.email],
      ['target.id', subject.id],
      ['target.id', subject.email],
      ['traceId', subject.id],
    ].flatMap(([kind, value]) => {
      const tag = equalityTag(tagKey, kind as 'actor.id', value!)
      return [
        { name: `tag ${kind} of ${value}`, bytes: tag },
        { name: `tag ${kind} of ${value} in hex`, bytes: Buffer.from(tag.toString('hex')) },
      ]
    })

    // The control: what is looked for is there, in the form in which it is kept.
    const rows = await keyRows()
    expect(hits(await tables(), tags).length).toBeGreaterThan(5)
    const id = await approvedRequest(trio, {
      companyId: encodeId('company', company.id),
      requestType: 'DELETE',
      actorId: subject.id,
      actorEmail: subject.email,
      reason: `asked for by ${subject.name}`,
    })
    const requestKeys = (await keyRows()).filter((row) => !rows.some((one) => one.id === row.id))
    expect(requestKeys).toHaveLength(1)
    rows.push(...requestKeys)
    const ownKeys = new Set<string>(requestKeys.map((row) => row.id))
    for (const region of homes) {
      const client = new Client({ connectionString: urls.get(region)! })
      await client.connect()
      const found = await client.query<{ id: string }>('select id from subject_key where actor_id_tag = $1', [
        tags[0]!.bytes,
      ])
      for (const row of found.rows) ownKeys.add(row.id)
      await client.end()
    }
    expect(ownKeys.size).toBe(5)
    await stop()
    const before = await readDisk(rows, tags)
    expect(before.recovered.size).toBe(rows.length)
    const subjectKeys = [...ownKeys].filter((key) => !requestKeys.some((row) => row.id === key))
    for (const key of subjectKeys) expect(before.said.get(key)).toBeGreaterThan(10)
    expect(before.tagged.some((hit) => !hit.includes('pg_wal'))).toBe(true)
    expect(before.plain.filter((hit) => hit.includes('exports')).length).toBeGreaterThan(2)
    expect(before.plain.filter((hit) => !hit.includes('exports'))).toEqual([])
    // The control: archive objects are unpacked, and their blobs opened.
    expect(before.objects).toBe(2)

    await start()
    expect(await eraseRequests(app.erasure, new AbortController().signal)).toBe(1)
    const newTrio = { url, app } as World
    const staff = await makeTrio(newTrio, company as World['acme'])
    const done = await readRequest(staff.staff, id)
    expect(done.status).toBe('DONE')
    const residue = done.evidence.filter((one: { store: string }) => one.store.includes('earlier versions'))
    expect(residue.map((one: { records: number }) => one.records)).toEqual([5, 5])

    expect(hits(await tables(), [...needles, ...tags])).toEqual([])
    expect(
      hits(
        lines.map((line) => ({ where: 'the log', bytes: Buffer.from(line) })),
        needles,
      ),
    ).toEqual([])
    await stop()
    const after = await readDisk(rows, tags)
    expect(after.plain).toEqual([])
    expect(after.tagged.filter((hit) => !/pg_wal|pg_stat/.test(hit))).toEqual([])
    // No key of the subject's, nor the request's, is to be had; every other is.
    expect([...after.recovered].filter((key) => ownKeys.has(key))).toEqual([])
    expect(after.recovered.size).toBe(rows.length - ownKeys.size)
    // What others' keys still open is at most what the evidence owns up to: earlier versions of what mentioned the subject.
    const mentioning = [...after.said.keys()]
    expect(mentioning.every((key) => !ownKeys.has(key))).toBe(true)
    expect(mentioning.length).toBeLessThanOrEqual(2)
    await start()
  },
)
