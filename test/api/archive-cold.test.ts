import { createHash } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { coldArchiveJob } from '../../src/archive/cold-archive.job.js'
import { verifyArchiveJob } from '../../src/archive/verify-archive.job.js'
import { createHyreLogClient } from '../../src/sdk/index.js'
import { asPerson, type Person, signIn } from '../harness/actors.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import {
  archiveNow,
  bucketFolder,
  coldNow,
  DAY_MS,
  followRestores,
  keysIn,
  listObjects,
  objectFields,
  runRegionJob,
  type ShownObject,
  slowBuckets,
} from '../harness/archive.js'
import { request } from '../harness/exports.js'
import { showEvent } from '../harness/gdpr.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'

const HOUR_MS = 3_600_000
const internalToken = 'a token of sixteen characters'
let world: World
let clock: SettableClock
let workspace: WorldWorkspace
let ids: string[]
let owner: Person
const events = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    action: 'doc.read',
    category: 'docs',
    actor: { id: `u-${n}` },
    payload: { n },
  }))

beforeEach(async () => {
  clock = settableClock()
  world = await createWorld({ clock, openStore: slowBuckets(clock, 5 * HOUR_MS), config: { internalToken } })
  workspace = world.acme.in.EU
  ids = await world.record(workspace, events(6))
  clock.advance(100 * DAY_MS)
  ids.push(...(await world.record(workspace, events(4))))
  clock.advance(310 * DAY_MS)
  await world.app.control.query('update workspace set retention_days = 300 where id = $1', [workspace.id])
  await archiveNow(world, 'EU')
  owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
})
afterEach(() => world.close())

async function pass(ms: number): Promise<void> {
  clock.advance(ms)
  await signIn(owner)
}
const ask = (query: string) => world.gql(world.acme.key, query)
const codeOf = async (query: string) => (await ask(query)).errors?.[0]?.extensions
const classes = async () => (await listObjects(world, workspace)).map(({ storageClass }) => storageClass)
const restore = async (object: ShownObject, more = ''): Promise<ShownObject> => {
  const answer = await owner.gql(
    `mutation { requestRestore(input: { archiveObjectId: "${object.id}"${more} }) { archiveObject { ${objectFields} } } }`,
  )
  if (answer.errors !== undefined) throw new Error(answer.errors[0]!.message)
  return answer.data.requestRestore.archiveObject
}

describe('cold storage', () => {
  it('takes the objects of days over a year old, and what is in them has to be restored', async () => {
    expect(await coldNow(world, 'EU')).toBe(1)
    const [young, old] = await listObjects(world, workspace)
    expect([young!.storageClass, old!.storageClass]).toEqual(['WARM', 'COLD'])
    expect((await showEvent(world, ids[7]!)).payload).toEqual({ n: 1 })
    const needed = { code: 'RESTORE_REQUIRED', archiveObjectIds: [old!.id] }
    expect(await codeOf(`{ event(id: "${ids[0]!}") { payload } }`)).toMatchObject(needed)
    const list = (first: number) =>
      `{ workspaceEvents(workspaceId: "${workspace.gid}", filter: { includeArchived: true }, first: ${first}) { nodes { id payload } } }`
    expect((await ask(list(4))).data.workspaceEvents.nodes).toHaveLength(4)
    expect(await codeOf(list(5))).toMatchObject(needed)
    await expect(request(world, workspace, { scope: 'ALL' })).rejects.toThrow('RESTORE_REQUIRED')
    const refusal = await createHyreLogClient({ endpoint: world.url, apiKey: world.acme.key })
      .requestExport({ input: { workspaceId: workspace.gid, format: 'NDJSON', scope: 'ALL' } })
      .then(
        () => null,
        (error: unknown) => error,
      )
    expect(refusal).toMatchObject(needed)
    // What needs no object goes on: proofs, links, and lists of what is not archived.
    const answer = await ask(
      `{ inclusionProof(eventId: "${ids[0]!}") { leafIndex }
         verifyChain(workspaceId: "${workspace.gid}") { ok checkedEvents linkOnlyEvents firstBreak { reason } }
         workspaceEvents(workspaceId: "${workspace.gid}") { nodes { id } } }`,
    )
    expect(answer.errors).toBeUndefined()
    expect(answer.data).toEqual({
      inclusionProof: { leafIndex: 0 },
      verifyChain: { ok: true, checkedEvents: 10, linkOnlyEvents: 6, firstBreak: null },
      workspaceEvents: { nodes: [] },
    })
  })

  it('gives an object back for some days, then has it again by itself', async () => {
    await coldNow(world, 'EU')
    const [, old] = await listObjects(world, workspace)
    const estimate = await ask(
      `{ restoreEstimate(workspaceId: "${workspace.gid}") { objects bytes coldObjects coldBytes tiers } }`,
    )
    expect(estimate.data.restoreEstimate).toMatchObject({
      objects: 2,
      coldObjects: 1,
      coldBytes: old!.sizeBytes,
      tiers: ['STANDARD'],
    })
    await expect(restore(old!, ', tier: BULK')).rejects.toThrow('must be one of STANDARD')
    await expect(restore(old!, ', days: 0')).rejects.toThrow('from 1 to 365')
    expect(await restore(old!, ', days: 2')).toMatchObject({ storageClass: 'RESTORING', restoredUntil: null })
    // A second request joins the first.
    expect(await restore(old!, ', days: 2')).toMatchObject({ storageClass: 'RESTORING' })
    expect((await codeOf(`{ event(id: "${ids[0]!}") { payload } }`))?.code).toBe('RESTORE_REQUIRED')
    expect(await followRestores(world, 'EU')).toBe(0)
    await pass(5 * HOUR_MS)
    expect(await followRestores(world, 'EU')).toBe(1)
    const [, restored] = await listObjects(world, workspace)
    expect(restored!.storageClass).toBe('RESTORED')
    expect(Date.parse(restored!.restoredUntil!)).toBeGreaterThan(clock.now().getTime() + 1.9 * DAY_MS)
    expect((await showEvent(world, ids[0]!)).payload).toEqual({ n: 0 })
    const whole = await ask(`{ verifyChain(workspaceId: "${workspace.gid}") { ok linkOnlyEvents } }`)
    expect(whole.data.verifyChain).toEqual({ ok: true, linkOnlyEvents: 0 })
    clock.advance(3 * DAY_MS)
    expect(await classes()).toEqual(['WARM', 'COLD'])
    expect((await codeOf(`{ event(id: "${ids[0]!}") { payload } }`))?.code).toBe('RESTORE_REQUIRED')
    await followRestores(world, 'EU')
    expect(await classes()).toEqual(['WARM', 'COLD'])
  })

  it('is recognised where a rule of the bucket moved an object by itself', async () => {
    const store = await world.app.archive.stores.of('EU')
    const [object] = await listObjects(world, workspace)
    await store.moveToCold(object!.key)
    expect(object!.storageClass).toBe('WARM')
    expect(await codeOf(`{ event(id: "${ids[9]!}") { payload } }`)).toMatchObject({
      code: 'RESTORE_REQUIRED',
      archiveObjectIds: [object!.id],
    })
    expect(await classes()).toEqual(['COLD', 'WARM'])
  })

  it('keeps the flag off until the bucket says so: a move that was cut short is made again', async () => {
    const { archive } = world.app
    const onStep = (): void => {
      throw new Error('crash')
    }
    await expect(runRegionJob(coldArchiveJob({ ...archive, onStep }), 'EU')).rejects.toThrow('crash')
    expect(await classes()).toEqual(['WARM', 'WARM'])
    expect(await coldNow(world, 'EU')).toBe(1)
    expect(await classes()).toEqual(['WARM', 'COLD'])
  })
})

describe('verification', () => {
  const verify = async (object: ShownObject): Promise<string> => {
    const answer = await owner.gql(
      `mutation { verifyArchive(archiveObjectId: "${object.id}") { verdict archiveObject { fault } } }`,
    )
    if (answer.errors !== undefined) throw new Error(answer.errors[0]!.message)
    const { verdict, archiveObject } = answer.data.verifyArchive
    expect(archiveObject.fault).toBe(verdict === 'OK' || verdict === 'NOT_READ' ? null : verdict)
    return verdict
  }
  const pathOf = ({ key }: ShownObject): string => join(bucketFolder(world, 'EU'), 'warm', key)
  const rewrite = async (object: ShownObject, change: (lines: string[]) => string[]): Promise<void> => {
    const text = zstdDecompressSync(await readFile(pathOf(object))).toString('utf8')
    const lines = change(text.trimEnd().split('\n'))
    await writeFile(pathOf(object), zstdCompressSync(Buffer.from(`${lines.join('\n')}\n`)))
  }

  it('finds what was written to be whole, cold objects to be there', async () => {
    const [young, old] = await listObjects(world, workspace)
    expect(await verify(young!)).toBe('OK')
    clock.advance(1_000)
    expect(await runRegionJob(verifyArchiveJob(world.app.archive), 'EU')).toBe(2)
    await coldNow(world, 'EU')
    expect(await verify(old!)).toBe('NOT_READ')
  })

  const tamperings: readonly (readonly [string, (object: ShownObject, other: ShownObject) => Promise<void>])[] = [
    ['MISSING', (object) => rm(pathOf(object))],
    [
      'ALTERED',
      async (object) => {
        const bytes = await readFile(pathOf(object))
        bytes[bytes.length >> 1]! ^= 1
        await writeFile(pathOf(object), bytes)
      },
    ],
    ['ALTERED', (object) => rewrite(object, (lines) => lines.map((line) => line.replace('"term":1', '"term":2')))],
    [
      'TRUNCATED',
      async (object) => {
        const bytes = await readFile(pathOf(object))
        await writeFile(pathOf(object), bytes.subarray(0, bytes.length - 40))
      },
    ],
    [
      'SWAPPED',
      async (object, other) => {
        await rename(pathOf(object), `${pathOf(object)}.aside`)
        await writeFile(pathOf(object), await readFile(pathOf(other)))
      },
    ],
    ['WRONG_COUNT', (object) => rewrite(object, (lines) => lines.slice(0, -1))],
    ['WRONG_COUNT', (object) => rewrite(object, (lines) => [...lines, lines.at(-1)!])],
    ['MISSING', (object) => rm(pathOf(object).replace('.ndjson.zst', '.manifest.json'))],
    [
      'BROKEN_CHAIN',
      // By whoever can also change what the database says of the object.
      async (object) => {
        await rewrite(object, (lines) => lines.map((line) => line.replace('"term":1', '"term":2')))
        const bytes = await readFile(pathOf(object))
        const sha256 = createHash('sha256').update(bytes).digest()
        const client = new Client({ connectionString: world.databases.superuserUrl(world.databases.regions.EU.name) })
        await client.connect()
        await client.query('update archive_object set sha256 = $2, size_bytes = $3 where key = $1', [
          object.key,
          sha256,
          bytes.length,
        ])
        await client.end()
        const manifest = pathOf(object).replace('.ndjson.zst', '.manifest.json')
        const said = JSON.parse(await readFile(manifest, 'utf8'))
        await writeFile(manifest, JSON.stringify({ ...said, sha256: sha256.toString('hex') }))
      },
    ],
  ]

  it('finds each way of tampering, keeps it with the object and raises an alarm', { timeout: 60_000 }, async () => {
    const [object, other] = await listObjects(world, workspace)
    const files = [pathOf(object!), pathOf(object!).replace('.ndjson.zst', '.manifest.json')]
    const kept = await Promise.all(files.map((file) => readFile(file)))
    const { counts } = world.app.archive.alarms
    for (const [fault, tamper] of tamperings) {
      for (const [at, file] of files.entries()) await writeFile(file, kept[at]!)
      expect(await verify(object!)).toBe('OK')
      await tamper(object!, other!)
      const before = counts.get(fault as 'MISSING') ?? 0
      expect(await verify(object!)).toBe(fault)
      expect(counts.get(fault as 'MISSING')).toBe(before + 1)
      expect(await verify(other!)).toBe('OK')
      clock.advance(1_000)
      await expect(runRegionJob(verifyArchiveJob(world.app.archive), 'EU')).rejects.toThrow('1 archive objects of EU')
    }
    const url = new URL('/metrics', world.url)
    const metrics = await (await fetch(url, { headers: { 'x-internal-token': internalToken } })).text()
    expect(metrics).toContain('hyrelog_archive_faults_total{fault="SWAPPED"} 2')
    expect(metrics).toContain('hyrelog_archive_faulty_objects{region="EU",class="WARM"} 1')
    expect(metrics).toContain('hyrelog_archive_archived_events_total{region="EU"} 10')
  })

  it('a damaged object makes no answer up: reads are refused, and the chain does not verify', async () => {
    const [object] = await listObjects(world, workspace)
    await rewrite(object!, (lines) => lines.slice(0, -1))
    expect((await codeOf(`{ event(id: "${ids[9]!}") { payload } }`))?.code).toBe('REGION_UNAVAILABLE')
    const answer = await ask(`{ verifyChain(workspaceId: "${workspace.gid}") { ok firstBreak { sequence reason } } }`)
    expect(answer.data.verifyChain).toEqual({ ok: false, firstBreak: { sequence: 7, reason: 'HASH_MISMATCH' } })
  })
})

it('the clear columns can be queried where they lie', async () => {
  await world.record(world.acme.in.US, events(5))
  clock.advance(367 * DAY_MS)
  expect(await archiveNow(world, 'US', { parquet: true })).toBe(5)
  const database = await DuckDBInstance.create(':memory:')
  const connection = await database.connect()
  const files = join(bucketFolder(world, 'US'), 'warm', 'parquet', '**', '*.parquet')
  const result = await connection.runAndReadAll(
    `select company, workspace, cast(day as varchar) as day, count(*)::int as events, min(sequence)::int as first,
       max(received_at) > timestamp '2000-01-01' as timed, any_value(action) as action, count(distinct id)::int as ids
     from read_parquet('${files}', hive_partitioning = true) group by all`,
  )
  expect(result.getRowObjects()).toEqual([
    {
      company: world.acme.id,
      workspace: world.acme.in.US.id,
      day: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      events: 5,
      first: 1,
      timed: true,
      action: 'doc.read',
      ids: 5,
    },
  ])
  connection.closeSync()
  database.closeSync()
  expect((await keysIn(world, 'EU')).filter((key) => key.startsWith('parquet/'))).toEqual([])
})
