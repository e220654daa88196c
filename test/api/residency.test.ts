import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type App, createApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { regions, type Region } from '../../src/kernel/region.js'
import { DirectoryKeyVault } from '../../src/sealing/key-vault.js'
import { blobKeyId, openValues } from '../../src/sealing/sealed-blob.js'
import { unwrapKey } from '../../src/sealing/subject-keys.js'
import { type StartedDatabases, startDatabases } from '../../src/start-databases.js'
import { createApiKey } from '../../src/workspaces/create-api-key.js'
import { createCompany } from '../../src/workspaces/create-company.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { sendGraphql } from '../harness/app.js'
import { makeDataFolder, makeLog } from '../harness/data-folder.js'
import { filesBelow, type Needle, needlesOf, NeedleSet } from '../harness/disk-scan.js'
import { eventually } from '../harness/eventually.js'

/*
 * Where the events of a company of the EU are: the whole service runs on servers of its own, and every file that any of
 * them has written is looked through. One company keeps everything at home, one has asked for a replica in the US.
 */

const personal = {
  id: 'kunde-30815',
  email: 'Jörg.Hölzl@Leute.Example',
  name: 'Jörg Hölzl-Ärmel',
  payload: 'Behandlung wegen Heuschnupfen',
  change: 'Ringstraße 17, Wien',
}
const needles: Needle[] = Object.entries(personal).flatMap(([name, text]) => needlesOf(name, text))

let folder: Awaited<ReturnType<typeof makeDataFolder>>
let config: Awaited<ReturnType<typeof readConfig>>
let databases: StartedDatabases
let app: App
const lines: string[] = []

interface Tenant {
  readonly companyId: string
  readonly workspaceId: string
  readonly key: string
}
let resident: Tenant
let replicated: Tenant
/** Sealed blobs of each, as home stores them: looked for by their bytes. */
const blobs = new Map<Tenant, Needle[]>()

beforeAll(async () => {
  folder = await makeDataFolder()
  config = await readConfig({ DATA_DIR: folder.path, SEED_DEMO: 'false', PORT: '0', LOG_LEVEL: 'trace' })
  databases = await startDatabases(config, makeLog().log)
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
  app = await createApp({ config, ...databases, log })
  const url = `${await app.listen()}/graphql`
  resident = await makeTenant('Stay', [])
  replicated = await makeTenant('Roam', ['US'])
  for (const tenant of [resident, replicated]) {
    const answer = await sendGraphql(
      url,
      tenant.key,
      'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { sequence } } }',
      { input: { events: Array.from({ length: 5 }, event) } },
    )
    if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
    // Asked for as any caller does, which is what fills caches and logs.
    const found = await sendGraphql(
      url,
      tenant.key,
      `{ workspaceEvents(filter: { actorId: "${personal.id}", actorEmail: "${personal.email}" }) { nodes { actor { id email name } payload changes { old } } } }`,
    )
    if (found.data?.workspaceEvents.nodes.length !== 5) throw new Error('the events are not found')
  }
  await eventually('the index knows them', async () => (await app.indexer.pendingOf('EU')) === 0)
  await eventually('the replica has them', async () => {
    const [row] = await app.control.query<{ sequence: string }>(
      `select sequence from replica_chain where workspace_id = $1 and current_at is not null`,
      [replicated.workspaceId],
    )
    return row?.sequence === '5'
  })
  for (const tenant of [resident, replicated]) blobs.set(tenant, await blobsOf(tenant))
  // What is still in the servers' memory is written out.
  await app.close()
  await databases.stop()
})
afterAll(() => folder.remove())

const event = () => ({
  action: 'record.viewed',
  category: 'care',
  actor: { id: personal.id, email: personal.email, name: personal.name },
  target: { id: personal.id, type: 'patient' },
  payload: { reason: personal.payload },
  changes: [{ field: 'address', old: personal.change, new: null }],
})

async function makeTenant(name: string, replicateTo: readonly Region[]): Promise<Tenant> {
  const { control, secrets, clock } = app
  const company = await createCompany({ control, secrets, clock }, { name, dataRegion: 'EU', replicateTo })
  const workspace = await createWorkspace({ control, clock }, { companyId: company.id, name: 'Main' })
  const { secret } = await createApiKey(
    { control, pepper: config.apiKeyPepper, clock },
    { companyId: company.id, workspaceId: workspace.id, name: 'key', scope: 'WORKSPACE' },
  )
  return { companyId: company.id, workspaceId: workspace.id, key: secret }
}

const inEu = <Row extends object>(tenant: Tenant, sql: string): Promise<Row[]> =>
  app.registry.use('EU', ({ database }) =>
    database.transaction({ companies: [tenant.companyId], readOnly: true, timeoutMs: 5_000 }, (tx) =>
      tx.query<Row>(sql, [tenant.workspaceId]),
    ),
  )

interface StoredBlob {
  readonly id: string
  readonly blob: 'identity' | 'content'
  readonly bytes: Buffer
}
const storedBlobs = (tenant: Tenant): Promise<StoredBlob[]> =>
  inEu<StoredBlob>(
    tenant,
    `select id, 'identity' as blob, identity_blob as bytes from event where workspace_id = $1
     union all select id, 'content', content_blob from event where workspace_id = $1`,
  )

/** Also the control: what a blob holds is what was recorded, so that finding no blob means finding nothing. */
async function blobsOf(tenant: Tenant): Promise<Needle[]> {
  const vault = new DirectoryKeyVault({
    directory: config.keyVaultDir,
    masterKeys: config.regionMasterKeys,
    clock: { now: () => new Date() },
  })
  const stored = await storedBlobs(tenant)
  expect(stored).toHaveLength(10)
  const said: string[] = []
  for (const { id, blob, bytes } of stored) {
    const [row] = await inEu<{
      id: string
      company_id: string
      blob: 'identity' | 'content'
      bucket: number
      generation: number
      wrapped: Buffer
    }>(
      tenant,
      `select k.id, k.company_id, k.blob, k.bucket, k.generation, k.wrapped from subject_key k
       where $1::uuid is not null and k.id = '${blobKeyId(bytes)}'`,
    )
    const key = unwrapKey(await vault.bucketKey('EU', row!.bucket, row!.generation), 'EU', row!)
    said.push(JSON.stringify(openValues(key, { workspaceId: tenant.workspaceId, eventId: id, blob }, bytes)))
  }
  for (const text of Object.values(personal)) expect(said.join('\n')).toContain(text)
  // Nonce and ciphertext: no two blobs share them.
  return stored.map(({ blob, bytes }) => ({ name: `a sealed ${blob}`, bytes: bytes.subarray(17, 60) }))
}

/** Where any of these stand below a folder. */
async function hits(path: string, wanted: readonly Needle[]): Promise<string[]> {
  const set = new NeedleSet(wanted)
  const found = new Set<string>()
  for await (const file of filesBelow(path))
    for (const { name } of set.placesIn(file.bytes).keys())
      found.add(`${name} in ${file.path.slice(folder.path.length)}`)
  return [...found]
}
const dataOf = (server: Region | 'CONTROL'): string => join(folder.path, server.toLowerCase())
const others = regions.filter((region) => region !== 'EU')

it('stands in clear in no file of any server and in no line of the log', async () => {
  expect(await hits(folder.path, needles)).toEqual([])
  const log = Buffer.from(lines.join('\n'), 'utf8')
  expect(log.includes('"msg"')).toBe(true)
  expect([...new NeedleSet(needles).placesIn(log).keys()].map(({ name }) => name)).toEqual([])
})

it('stands sealed at home, and nowhere else where nobody asked for it', async () => {
  const own = blobs.get(resident)!
  expect((await hits(dataOf('EU'), own)).length).toBeGreaterThan(0)
  for (const server of [...others, 'CONTROL'] as const) expect(await hits(dataOf(server), own)).toEqual([])
})

it('stands sealed in the region that a company replicates to, and in no third one', async () => {
  const own = blobs.get(replicated)!
  expect((await hits(dataOf('EU'), own)).length).toBeGreaterThan(0)
  expect((await hits(dataOf('US'), own)).length).toBeGreaterThan(0)
  for (const server of ['AU', 'APAC', 'CONTROL'] as const) expect(await hits(dataOf(server), own)).toEqual([])
})
