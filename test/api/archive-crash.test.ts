import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { ExportVerifier } from '../../src/ledger/index.js'
import { asPerson } from '../harness/actors.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import { archiveMarked, archiveNow, DAY_MS, indexed, keysIn, listObjects, mark } from '../harness/archive.js'
import { exported } from '../harness/exports.js'
import { verifyChain } from '../harness/gdpr.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'

let world: World
let clock: SettableClock
beforeAll(async () => {
  clock = settableClock()
  world = await createWorld({ clock })
})
afterAll(() => world.close())

const events = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    action: 'doc.read',
    category: 'docs',
    actor: { id: `u-${n}` },
    payload: { n },
  }))

/** Every event of a workspace, wherever it is: its sequences and where they are, as the database says. */
async function places(workspace: WorldWorkspace): Promise<{ hot: number[]; archived: number[] }> {
  const of = (table: string) =>
    world.app.registry.use(workspace.dataRegion, ({ database }) =>
      database.transaction({ companies: [world.acme.id], timeoutMs: 5_000 }, async (tx) =>
        (
          await tx.query<{ sequence: string }>(
            `select sequence from ${table} where workspace_id = $1 order by sequence`,
            [workspace.id],
          )
        ).map(({ sequence }) => Number(sequence)),
      ),
    )
  return { hot: await of('event'), archived: await of('archived_event') }
}
async function expectWhole(workspace: WorldWorkspace, count: number): Promise<void> {
  const { hot, archived } = await places(workspace)
  expect([...hot, ...archived].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n + 1))
  expect(await verifyChain(world, workspace)).toMatchObject({ ok: true, firstBreak: null })
  const { text } = await exported(world, workspace, { scope: 'ALL' })
  const verifier = new ExportVerifier({ workspaceId: workspace.id })
  for (const line of text.trimEnd().split('\n')) verifier.line(line)
  expect(verifier.finish()).toMatchObject({ ok: true, checkedEvents: count })
}

describe('archiving that is cut short', () => {
  it('at any step loses and doubles nothing, and is finished by the next run', async () => {
    const workspace = world.acme.in.US
    await world.record(workspace, events(12))
    clock.advance(400 * DAY_MS)
    await indexed(world)
    expect(await mark(world, 'US')).toBe(12)
    const steps: string[] = []
    for (let stopAt = 0; ; stopAt++) {
      let step = 0
      const onStep = (name: string): void => {
        steps.push(name)
        if (step++ === stopAt) throw new Error('crash')
      }
      const limits = { eventsMax: 5, bytesMax: 1_000_000 }
      const over = await archiveMarked(world, 'US', { onStep, limits }).then(
        () => true,
        (error: Error) => {
          expect(error.message).toBe('crash')
          return false
        },
      )
      await expectWhole(workspace, 12)
      if (over) break
    }
    expect(new Set(steps)).toEqual(
      new Set(['run.claimed', 'object.written', 'object.read_back', 'manifest.written', 'run.verified', 'run.moved']),
    )
    const objects = await listObjects(world, workspace)
    expect(objects.map((one) => [one.firstSequence, one.lastSequence])).toEqual([
      [11, 12],
      [6, 10],
      [1, 5],
    ])
    const keys = (await keysIn(world, 'US')).filter((key) => key.endsWith('.zst'))
    expect(keys).toEqual(objects.map(({ key }) => key).sort())
  })

  it('two processes at once never double an event', async () => {
    const workspace = world.acme.in.APAC
    await world.record(workspace, events(40))
    clock.advance(400 * DAY_MS)
    await indexed(world)
    await mark(world, 'APAC')
    const limits = { eventsMax: 4, bytesMax: 1_000_000 }
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => archiveMarked(world, 'APAC', { limits })))
    // Who comes off worse may fail; the work is done by the others, or the next night.
    expect(outcomes.length).toBe(3)
    await archiveMarked(world, 'APAC', { limits })
    expect(await places(workspace)).toMatchObject({ hot: [] })
    await expectWhole(workspace, 40)
    const objects = await listObjects(world, workspace)
    expect(objects.reduce((sum, { eventCount }) => sum + eventCount, 0)).toBe(40)
  })
})

describe('a late event of a day that was archived', () => {
  it('makes another part of that day, and writes over nothing', async () => {
    const workspace = world.acme.in.AU
    await world.record(workspace, events(3))
    const day = clock.now().toISOString().slice(0, 10)
    clock.advance(400 * DAY_MS)
    await archiveNow(world, 'AU')
    const [first] = await listObjects(world, workspace)
    // Accepted then, and recorded only now: as from a queue.
    clock.advance(-400 * DAY_MS)
    await world.record(workspace, events(2))
    clock.advance(400 * DAY_MS)
    expect(await archiveNow(world, 'AU')).toBe(2)
    const objects = await listObjects(world, workspace)
    expect(objects).toHaveLength(2)
    expect(objects.map((one) => one.day)).toEqual([day, day])
    expect(objects.find(({ id }) => id === first!.id)).toEqual(first)
    await expectWhole(workspace, 5)
  })
})

it('a retention that was made longer after marking keeps what is marked', async () => {
  const workspace = world.globex.in.EU
  await world.record(workspace, events(4))
  clock.advance(400 * DAY_MS)
  await indexed(world)
  expect(await mark(world, 'EU')).toBeGreaterThanOrEqual(4)
  await world.app.control.query('update workspace set retention_days = 500 where id = $1', [workspace.id])
  expect(await archiveMarked(world, 'EU')).toBe(0)
  await world.app.control.query('update workspace set retention_days = null where id = $1', [workspace.id])
  expect(await archiveNow(world, 'EU')).toBe(4)
})

it('lists and totals agree where the retention was made longer after archiving', async () => {
  const workspace = world.globex.in.AU
  const count = async (filter: string): Promise<[number, number]> => {
    const answer = await world.gql(
      workspace.key,
      `{ workspaceEvents(filter: { ${filter} }) { nodes { id } totalCount } }`,
    )
    expect(answer.errors).toBeUndefined()
    return [answer.data.workspaceEvents.nodes.length, answer.data.workspaceEvents.totalCount]
  }
  await world.record(workspace, events(3))
  clock.advance(400 * DAY_MS)
  await archiveNow(world, 'AU')
  await world.record(workspace, events(2))
  await indexed(world)
  const owner = await asPerson(world, { company: world.globex.id, role: 'OWNER' })
  const answer = await owner.gql(
    `mutation { updateWorkspace(input: { workspaceId: "${workspace.gid}", retentionDays: 900 }) { workspace { id } } }`,
  )
  expect(answer.errors).toBeUndefined()
  expect(await count('')).toEqual([2, 2])
  expect(await count('includeArchived: true')).toEqual([5, 5])
})

it(
  'lists with archives are the same whatever is archived, in any page size and direction',
  { timeout: 60_000 },
  async () => {
    const workspace = world.globex.in.US
    const start = clock.now().getTime()
    // Events happened in another order than they were received, many at one moment.
    const at = (n: number): string => new Date(start - ((n * 7_919) % 11) * 3_600_000).toISOString()
    for (const count of [9, 8, 7]) {
      await world.record(
        workspace,
        events(count).map((one, n) => ({ ...one, occurredAt: at(n + count) })),
      )
      clock.advance(100 * DAY_MS)
    }
    const list = async (size: number, forward: boolean): Promise<string[]> => {
      const found: string[] = []
      for (let cursor: string | null = null; ;) {
        const page = forward ? 'first: $size, after: $cursor' : 'last: $size, before: $cursor'
        const answer = await world.gql(
          world.globex.key,
          `query ($size: Int, $cursor: String) { globalEvents(filter: { includeArchived: true, workspaceId: "${workspace.gid}" }, ${page}) {
          nodes { id payload } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`,
          { size, cursor },
        )
        expect(answer.errors).toBeUndefined()
        const { nodes, pageInfo } = answer.data.globalEvents
        const ids = nodes.map((node: { id: string; payload: { n: number } }) => {
          expect(node.payload.n).toEqual(expect.any(Number))
          return node.id
        })
        if (forward) found.push(...ids)
        else found.unshift(...ids)
        if (!(forward ? pageInfo.hasNextPage : pageInfo.hasPreviousPage)) return found
        cursor = forward ? pageInfo.endCursor : pageInfo.startCursor
      }
    }
    const expected = await list(500, true)
    expect(expected).toHaveLength(24)
    for (const archived of [9, 8]) {
      clock.advance(100 * DAY_MS)
      expect(await archiveNow(world, 'US', { limits: { eventsMax: 4, bytesMax: 1_000_000 } })).toBe(archived)
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 30 }), fc.boolean(), async (size, forward) => {
          expect(await list(size, forward)).toEqual(expected)
        }),
        { numRuns: 8 },
      )
    }
  },
)
