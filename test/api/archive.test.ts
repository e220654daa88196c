import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asPerson } from '../harness/actors.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import {
  archiveMarked,
  archiveNow,
  bucketFolder,
  DAY_MS,
  indexed,
  keysIn,
  listObjects,
  mark,
} from '../harness/archive.js'
import { exported } from '../harness/exports.js'
import { showEvent, verifyChain } from '../harness/gdpr.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'
import { ExportVerifier } from '../../src/ledger/index.js'

const event = (more: Record<string, unknown> = {}) => ({ action: 'doc.read', category: 'docs', ...more })
const many = (count: number, more: Record<string, unknown> = {}) =>
  Array.from({ length: count }, (_, n) => event({ actor: { id: `u-${n % 3}` }, payload: { n }, ...more }))

let world: World
let clock: SettableClock
beforeAll(async () => {
  clock = settableClock(new Date('2025-03-10T08:00:00.000Z'))
  world = await createWorld({ clock })
})
afterAll(() => world.close())

/** The events of a workspace, as `workspaceEvents` lists them, page after page. */
async function listAll(
  workspace: WorldWorkspace,
  filter: string,
  size = 7,
): Promise<{ id: string; sequence: number; payload: unknown }[]> {
  const found: { id: string; sequence: number; payload: unknown }[] = []
  for (let after: string | null = null; ;) {
    const answer = await world.gql(
      workspace.key,
      `query ($after: String, $size: Int) { workspaceEvents(filter: { ${filter} }, first: $size, after: $after) {
        nodes { id sequence payload } pageInfo { hasNextPage endCursor } } }`,
      { after, size },
    )
    expect(answer.errors).toBeUndefined()
    const { nodes, pageInfo } = answer.data.workspaceEvents
    found.push(...nodes)
    if (!pageInfo.hasNextPage) return found
    after = pageInfo.endCursor
  }
}

describe('a workspace that has outlived its retention', () => {
  let ids: string[]
  let workspace: WorldWorkspace
  beforeAll(async () => {
    workspace = world.acme.in.EU
    ids = await world.record(workspace, many(20))
    // Past midnight, so that the run is cut.
    clock.advance(17 * 3_600_000)
    ids.push(...(await world.record(workspace, many(15))))
    clock.advance(300 * DAY_MS)
    ids.push(...(await world.record(workspace, many(10))))
    clock.advance(100 * DAY_MS)
  })

  it('is marked, and archived day by day; nothing else leaves the table', async () => {
    await indexed(world)
    expect(await mark(world, 'EU')).toBe(35)
    expect(await archiveMarked(world, 'EU')).toBe(35)
    expect(await archiveNow(world, 'EU')).toBe(0)
    const objects = await listObjects(world, workspace)
    expect(objects.map((one) => [one.day, one.firstSequence, one.lastSequence, one.eventCount])).toEqual([
      ['2025-03-11', 21, 35, 15],
      ['2025-03-10', 1, 20, 20],
    ])
    const prefix = `${world.acme.id}/${workspace.id}/`
    expect(await keysIn(world, 'EU')).toEqual([
      `${prefix}2025-03-10.1-20.manifest.json`,
      `${prefix}2025-03-10.1-20.ndjson.zst`,
      `${prefix}2025-03-11.21-35.manifest.json`,
      `${prefix}2025-03-11.21-35.ndjson.zst`,
    ])
    expect(await keysIn(world, 'US')).toEqual([])
  })

  it('has objects of sealed lines, with a manifest that says what is in them', async () => {
    const [, object] = await listObjects(world, workspace)
    const path = join(bucketFolder(world, 'EU'), 'warm', object!.key)
    const text = zstdDecompressSync(await readFile(path)).toString('utf8')
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
    expect(Object.keys(lines[0]!)).toEqual([
      'body',
      'sequence',
      'term',
      'prevHash',
      'hash',
      'identity',
      'content',
      'tombstones',
    ])
    expect(text).not.toContain('u-1')
    const manifest = JSON.parse(await readFile(path.replace('.ndjson.zst', '.manifest.json'), 'utf8'))
    expect(manifest).toMatchObject({ eventCount: 20, firstSequence: 1, lastSequence: 20, sha256: object!.sha256 })
    expect(manifest.checkpoint).toContain(`test.local/ws/${workspace.id}`)
  })

  it('shows its events one by one, in lists that ask for them, and proves them', async () => {
    for (const n of [0, 19, 20, 34, 35, 44])
      expect((await showEvent(world, ids[n]!)).payload).toEqual({ n: n < 20 ? n : n < 35 ? n - 20 : n - 35 })
    expect((await listAll(workspace, '')).map(({ sequence }) => sequence)).toEqual([
      45, 44, 43, 42, 41, 40, 39, 38, 37, 36,
    ])
    const all = await listAll(workspace, 'includeArchived: true')
    expect(all.map(({ id }) => id)).toEqual(ids.toReversed())
    expect(all.at(-1)!.payload).toEqual({ n: 0 })
    const found = await listAll(workspace, 'includeArchived: true, actorId: "u-1"')
    expect(found).toHaveLength(7 + 5 + 3)
    for (const id of [ids[3]!, ids[40]!]) {
      const answer = await world.gql(world.acme.key, `{ inclusionProof(eventId: "${id}") { leafIndex hashes } }`)
      expect(answer.data.inclusionProof).toMatchObject({ leafIndex: ids.indexOf(id) })
    }
    const total = async (filter: string) =>
      (await world.gql(workspace.key, `{ workspaceEvents(filter: { ${filter} }) { totalCount } }`)).data.workspaceEvents
        .totalCount
    expect([await total(''), await total('includeArchived: true')]).toEqual([10, 45])
  })

  it('verifies as a whole, across table and objects', async () => {
    expect(await verifyChain(world, workspace)).toMatchObject({ ok: true, firstBreak: null })
  })

  it('is exported as a whole, or either part of it, without doubles', async () => {
    const sequences = async (scope?: string): Promise<number[]> => {
      const { text } = await exported(world, workspace, scope === undefined ? {} : { scope })
      return text
        .trimEnd()
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line).sequence)
    }
    const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)
    expect(await sequences()).toEqual(range(36, 45))
    expect(await sequences('ARCHIVED')).toEqual(range(1, 35))
    expect(await sequences('ALL')).toEqual(range(1, 45))
  })

  it('exports whole chains that verify offline', async () => {
    const { text } = await exported(world, workspace, { scope: 'ALL' })
    const verifier = new ExportVerifier({ workspaceId: workspace.id })
    for (const line of text.trimEnd().split('\n')) verifier.line(line)
    expect(verifier.finish()).toMatchObject({ ok: true, checkedEvents: 45 })
  })
})

describe('who may see archive objects', () => {
  it('keys of the company and its people do, others do not know of them', async () => {
    const { EU } = world.acme.in
    const [object] = await listObjects(world, EU)
    const ask = (key: string | null) =>
      world.gql(key, `{ archiveObjects(workspaceId: "${EU.gid}") { totalCount } node(id: "${object!.id}") { id } }`)
    expect((await ask(world.acme.key)).data).toEqual({ archiveObjects: { totalCount: 2 }, node: { id: object!.id } })
    expect((await ask(world.acme.in.US.key)).errors![0]!.extensions.code).toBe('NOT_FOUND')
    expect((await ask(world.globex.key)).errors![0]!.extensions.code).toBe('NOT_FOUND')
    const alone = await world.gql(world.globex.key, `{ node(id: "${object!.id}") { id } }`)
    expect(alone.data.node).toBeNull()
    const member = await asPerson(world, { company: world.acme.id, role: 'MEMBER', workspaces: [world.acme.in.US.id] })
    const refused = await member.gql(
      `mutation { requestRestore(input: { archiveObjectId: "${object!.id}" }) { archiveObject { id } } }`,
    )
    expect(refused.errors![0]!.extensions.code).toBe('FORBIDDEN')
    expect((await member.gql(`{ node(id: "${object!.id}") { id } }`)).data.node).toBeNull()
  })
})
