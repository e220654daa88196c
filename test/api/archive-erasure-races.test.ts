import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ArchiveDeps } from '../../src/archive/archive-deps.js'
import { archiveRegion } from '../../src/archive/archive-events.js'
import type { Database } from '../../src/db/database.js'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import type { ErasureDeps } from '../../src/gdpr/erasure-deps.js'
import { encodeId, newUuid } from '../../src/kernel/ids.js'
import type { Region } from '../../src/kernel/region.js'
import type { ObjectStore } from '../../src/objects/object-store.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import { archiveNow, DAY_MS, indexed, keysIn, listObjects, mark } from '../harness/archive.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest, showEvent, type Trio, verifyChain } from '../harness/gdpr.js'
import { rowsOf } from '../harness/replicas.js'

/*
 * A night's archiving and the erasure of a person, at the same moment, in the same chain.
 */

let world: World
let trio: Trio
beforeEach(async () => {
  world = await createWorld()
  trio = await makeTrio(world, world.acme)
})
afterEach(() => world.close())

const never = new AbortController().signal
const later = { clock: { now: () => new Date(Date.now() + 2 * DAY_MS) } }

interface Stage {
  readonly chain: WorldWorkspace
  readonly own: string
  readonly mention: string
  readonly request: string
}

/** A chain of its own with a subject of its own, all of it past its retention tomorrow; the request is approved. */
async function stage(): Promise<Stage> {
  const word = newUuid().slice(-8)
  const { control, clock } = world.app
  const { id: companyId } = world.acme
  const made = await createWorkspace(
    { control, clock },
    { companyId, name: `W ${word}`, dataRegion: 'EU', retentionDays: 1 },
  )
  const { key } = await world.makeKey({ companyId, workspaceId: made.id, name: 'k', scope: 'WORKSPACE' })
  const chain = { ...world.acme.in.EU, ...made, gid: encodeId('workspace', made.id), key }
  const actorEmail = `${word}@people.example`
  const [own, mention] = await world.record(chain, [
    { action: 'a', category: 'c', actor: { email: actorEmail, name: word }, payload: { by: word } },
    { action: 'a', category: 'c', actor: { id: 'boss' }, payload: { to: actorEmail, kept: true } },
    { action: 'a', category: 'c', actor: { id: 'other' }, payload: { kept: true } },
  ])
  await indexed(world)
  const request = await approvedRequest(trio, { companyId: world.acme.gid, requestType: 'DELETE', actorEmail })
  return { chain, own: own!, mention: mention!, request }
}

async function finish({ request }: Stage): Promise<void> {
  await eventually('the request to be done', async () => {
    await eraseRequests(world.app.erasure, never)
    return (await readRequest(trio.staff, request)).status === 'DONE'
  })
}

/** Nothing is lost but what was erased, and nothing lies in the bucket that no object refers to. */
async function expectErased({ chain, own, mention }: Stage): Promise<void> {
  await archiveNow(world, 'EU', later)
  expect(await showEvent(world, own)).toMatchObject({ erasedAt: expect.any(String), actor: null, payload: {} })
  expect(await showEvent(world, mention)).toMatchObject({ actor: { id: 'boss' }, payload: { kept: true } })
  expect((await showEvent(world, mention)).payload).not.toHaveProperty('to')
  expect(await verifyChain(world, chain)).toMatchObject({ ok: true, erasedEvents: 2, firstBreak: null })
  const objects = await listObjects(world, chain)
  expect(objects.length).toBeGreaterThan(0)
  for (const { id } of objects) {
    const answer = await trio.approver.gql(`mutation { verifyArchive(archiveObjectId: "${id}") { verdict } }`)
    expect(answer.data.verifyArchive.verdict).toMatch(/^OK/)
  }
  const kept = (await keysIn(world, 'EU')).filter((key) => key.includes(chain.id) && key.endsWith('.zst'))
  expect(kept).toEqual(objects.map(({ key }) => key).toSorted())
}

/** A database that does something else first when its nth transaction is asked for, counted from 0. */
function interrupted(
  database: Database,
  nth: number,
  first: () => Promise<unknown>,
): { database: Database; asked(): number } {
  let asked = 0
  const transaction: Database['transaction'] = async (options, work) => {
    if (asked++ === nth) await first()
    return database.transaction(options, work)
  }
  const proxy = new Proxy(database, {
    get(target, name) {
      if (name === 'transaction') return transaction
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return { database: proxy, asked: () => asked }
}

const archive = (database: Database): Promise<number> =>
  archiveRegion({ ...world.app.archive, ...later }, { region: 'EU', database }, never, () => undefined)

describe('an erasure', () => {
  it('takes everything wherever it is when all of it is archived between two of its transactions', async () => {
    for (const nth of [1, 2, 3, 4, 6, 8, 10, 13, 16]) {
      const own = await stage()
      let moved = 0
      let asked = 0
      const { registry } = world.app.erasure
      const held: ErasureDeps = {
        ...world.app.erasure,
        registry: {
          list: () => registry.list(),
          find: (region) => registry.find(region),
          use: (region, work) =>
            registry.use(region, async (handle) => {
              if (region !== 'EU') return work(handle)
              const from = asked
              const one = interrupted(handle.database, nth - from, async () => {
                moved = await archiveNow(world, 'EU', later)
              })
              try {
                return await work({ ...handle, database: one.database })
              } finally {
                asked = from + one.asked()
              }
            }),
        },
      }
      await eraseRequests(held, never)
      await finish(own)
      await expectErased(own)
      // The control: that moment came, and everything was moved then.
      expect(asked).toBeGreaterThan(nth)
      expect(moved).toBeGreaterThan(0)
    }
  }, 120_000)

  it('comes between any two transactions of a night, and what it takes is in no object', async () => {
    for (let nth = 0; ; nth++) {
      const own = await stage()
      await mark(world, 'EU', later)
      const { database } = world.app.registry.find('EU')!
      const one = interrupted(database, nth, () => finish(own))
      await archive(one.database)
      await finish(own)
      await expectErased(own)
      if (one.asked() > nth) continue
      expect(nth).toBeGreaterThan(5)
      break
    }
  }, 120_000)
})

const gate = () => Promise.withResolvers<void>()

/** The bucket of the EU, of which one operation waits, the first time. */
async function waiting(
  operation: 'get' | 'delete',
): Promise<{ stores: ArchiveDeps['stores']; came: Promise<void>; go: () => void }> {
  const [came, go] = [gate(), gate()]
  const store = await world.app.archive.stores.of('EU')
  let isFirst = true
  const proxy = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      const bound = value.bind(target) as (...given: unknown[]) => unknown
      if (name !== operation) return bound
      return async (...given: unknown[]) => {
        if (isFirst) {
          isFirst = false
          came.resolve()
          await go.promise
        }
        return bound(...given)
      }
    },
  })
  const of = (region: Region): Promise<ObjectStore> =>
    region === 'EU' ? Promise.resolve(proxy) : world.app.archive.stores.of(region)
  return { stores: { of } as ArchiveDeps['stores'], came: came.promise, go: () => go.resolve() }
}

describe('a run that an erasure gives up', () => {
  it('is written anew, and is not deleted by who gave it up', async () => {
    const own = await stage()
    await mark(world, 'EU', later)
    const night = await waiting('get')
    const { database } = world.app.registry.find('EU')!
    let isOver = false
    const archiving = archiveRegion(
      { ...world.app.archive, ...later, stores: night.stores },
      { region: 'EU', database },
      never,
      () => undefined,
    ).finally(() => (isOver = true))
    await night.came
    const erasing = await waiting('delete')
    const erased = eraseRequests(
      { ...world.app.erasure, archive: { ...world.app.archive, stores: erasing.stores } },
      never,
    )
    await erasing.came
    night.go()
    // It has ended by now, or waits for the deletion.
    await eventually('the run', async () => {
      const blocked = await rowsOf(
        world,
        'EU',
        `select from pg_locks where locktype = 'advisory' and not granted and
        database = (select oid from pg_database where datname = current_database())`,
      )
      return isOver || blocked.length > 0
    })
    erasing.go()
    const [moved] = await Promise.all([archiving, erased])
    expect(moved).toBeGreaterThan(0)
    await finish(own)
    await expectErased(own)
  })

  it('leaves no bytes behind that a process wrote after it and died', async () => {
    const own = await stage()
    await mark(world, 'EU', later)
    const { database } = world.app.registry.find('EU')!
    const died = new AbortController()
    const night = await waiting('get')
    const archiving = archiveRegion(
      {
        ...world.app.archive,
        ...later,
        stores: night.stores,
        onStep: (step) => {
          if (step !== 'object.read_back') return
          died.abort()
          throw new Error('the process died')
        },
      },
      { region: 'EU', database },
      never,
      () => undefined,
    )
    await night.came
    const [key] = (await keysIn(world, 'EU')).filter((one) => one.includes(own.chain.id))
    const store = await world.app.archive.stores.of('EU')
    const written: Uint8Array[] = []
    for await (const chunk of await store.get(key!)) written.push(chunk)
    await finish(own)
    // As if the write had been on its way all the time.
    await store.put(
      key!,
      (async function* () {
        yield* written
      })(),
      { contentType: 'application/zstd', precondition: 'new' },
    )
    night.go()
    await expect(archiving).rejects.toThrow('the process died')
    const other = await stage()
    await finish(other)
    expect((await keysIn(world, 'EU')).filter((one) => one.includes(own.chain.id))).toEqual([])
    await expectErased(own)
  })
})
