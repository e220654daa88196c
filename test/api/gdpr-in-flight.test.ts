import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { encodeId } from '../../src/kernel/ids.js'
import type { Region } from '../../src/kernel/region.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { createWorld, sendGraphql, type World, type WorldWorkspace } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest, showEvent, type Trio, verifyChain } from '../harness/gdpr.js'

/*
 * Events of a subject that are accepted, or on their way to the disk, while the erasure of the subject ends.
 */

let world: World
let trio: Trio
beforeAll(async () => {
  world = await createWorld()
  trio = await makeTrio(world, world.acme)
})
afterAll(() => world.close())

/** A subject of its own for each test, with an event. */
let subject: { id: string; email: string }
let recorded: string
beforeEach(async () => {
  const word = randomUUID().slice(0, 8)
  subject = { id: `subject-${word}`, email: `${word}@people.example` }
  const [id] = await world.record(world.acme.in.EU, [event({ actor: subject, payload: { n: 'first' } })])
  recorded = id!
})

const event = (more: Record<string, unknown>) => ({ action: 'doc.read', category: 'docs', ...more })
const never = new AbortController().signal
const run = (): Promise<number> => eraseRequests(world.app.erasure, never)
const asking = () => ({
  companyId: world.acme.gid,
  requestType: 'DELETE',
  actorId: subject.id,
  actorEmail: subject.email,
})
const ingest = 'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId } } }'
const show = (id: string) => showEvent(world, id)

it('a verification under way forgets its keys at once too', async () => {
  const { EU } = world.acme.in
  await world.app.verification.subjectKeys.use(async (keys) => {
    const [identity] = await keys.ensure(
      await world.app.registry.use('EU', ({ database }) => Promise.resolve(database)),
      'EU',
      (id) => world.app.facts.tagKey(id),
      [{ companyId: EU.companyId, workspaceId: EU.id, actorId: subject.id, actorEmail: subject.email }],
    )
    const { id } = identity!.identity
    expect(keys.peek('EU', id)).toBeDefined()
    await approvedRequest(trio, asking())
    expect(await run()).toBe(1)
    await eventually('the key is forgotten', () => keys.peek('EU', id) === undefined)
  })
  expect((await show(recorded)).actor).toBeNull()
})

describe('what comes in while a request ends', () => {
  const ownEvent = (n: string) => event({ actor: { id: subject.id }, payload: { n } })

  it.each(['fences.raised', 'request.erased', 'request_keys.destroyed'])(
    'is erased too where it was recorded at the step %s',
    async (at) => {
      const { EU } = world.acme.in
      const id = await approvedRequest(trio, asking())
      let late: Promise<string[]> | undefined
      const { erasure } = world.app
      // A step is told without waiting: what the run needs next waits until the event is there.
      const held = {
        ...erasure,
        onStep: (step: string) => {
          if (step === at) late ??= world.record(EU, [ownEvent(at)])
        },
        ownerUrl: (name: Region | 'CONTROL') => Promise.resolve(late).then(() => erasure.ownerUrl(name)),
        registry: {
          list: () => erasure.registry.list(),
          find: (region: Region) => erasure.registry.find(region),
          use: ((region, work) =>
            Promise.resolve(late).then(() => erasure.registry.use(region, work))) as typeof erasure.registry.use,
        },
      }
      await eraseRequests(held, never)
      while ((await readRequest(trio.staff, id)).status !== 'DONE') await run()
      const [lateId] = await late!
      const done = await readRequest(trio.staff, id)
      const receivedAt = (await world.gql(world.acme.key, `{ event(id: "${lateId!}") { receivedAt } }`)).data.event
        .receivedAt
      expect(receivedAt <= done.completedAt).toBe(true)
      expect(await show(lateId!)).toMatchObject({ erasedAt: expect.any(String), actor: null, payload: {} })
      expect(await verifyChain(world, EU)).toMatchObject({ ok: true })
    },
  )

  it.each(['values.noted', 'request.erased'])(
    'is erased too where it was recorded at the step %s in a workspace that had just been made',
    async (at) => {
      const id = await approvedRequest(trio, asking())
      const { erasure } = world.app
      let late: Promise<string> | undefined
      let chain: WorldWorkspace | undefined
      const recordElsewhere = async (): Promise<string> => {
        const { control, clock } = world.app
        const { id: companyId } = world.acme
        const made = await createWorkspace(
          { control, clock },
          { companyId, name: `W ${randomUUID().slice(0, 8)}`, dataRegion: 'APAC' },
        )
        const { key } = await world.makeKey({ companyId, workspaceId: made.id, name: 'k', scope: 'WORKSPACE' })
        chain = { ...world.acme.in.APAC, ...made, gid: encodeId('workspace', made.id), key }
        const [eventId] = await world.record(chain, [ownEvent(at)])
        return eventId!
      }
      const held = {
        ...erasure,
        onStep: (step: string) => {
          if (step === at) late ??= recordElsewhere()
        },
        registry: {
          list: () => erasure.registry.list(),
          find: (region: Region) => erasure.registry.find(region),
          use: ((region, work) =>
            Promise.resolve(late).then(() => erasure.registry.use(region, work))) as typeof erasure.registry.use,
        },
      }
      await eraseRequests(held, never)
      await eventually('the request to be done', async () => {
        await run()
        return (await readRequest(trio.staff, id)).status === 'DONE'
      })
      const { completedAt } = await readRequest(trio.staff, id)
      const lateId = await late!
      const { data } = await world.gql(world.acme.key, `{ event(id: "${lateId}") { receivedAt } }`)
      expect(data.event.receivedAt <= completedAt).toBe(true)
      expect(await show(lateId)).toMatchObject({ erasedAt: expect.any(String), actor: null, payload: {} })
      expect(await verifyChain(world, chain!)).toMatchObject({ ok: true, erasedEvents: 1 })
    },
  )

  it('is not touched after a crash, when nobody knows the subject any more: the request is done as of before', async () => {
    const { EU } = world.acme.in
    const id = await approvedRequest(trio, asking())
    const abort = new AbortController()
    const crashing = {
      ...world.app.erasure,
      onStep: (step: string) => {
        if (step !== 'request_keys.destroyed') return
        abort.abort(new Error('the process died'))
        throw new Error('the process died')
      },
    }
    await expect(eraseRequests(crashing, abort.signal)).rejects.toThrow('the process died')
    expect((await readRequest(trio.staff, id)).status).toBe('PROCESSING')
    const [lateId] = await world.record(EU, [ownEvent('late')])
    expect(await run()).toBe(1)
    const { status, completedAt } = await readRequest(trio.staff, id)
    expect(status).toBe('DONE')
    const late = await world.gql(world.acme.key, `{ event(id: "${lateId!}") { receivedAt payload } }`)
    expect(late.data.event.payload).toEqual({ n: 'late' })
    expect(late.data.event.receivedAt > completedAt).toBe(true)
    expect((await show(recorded)).actor).toBeNull()
  })

  it('is accepted anew where it was accepted before the end and not committed', async () => {
    const { EU } = world.acme.in
    const other = await world.another()
    const { committers } = other.app
    const committer = committers.of('EU')
    // Knows the region's epoch, as a process that has been running does.
    await sendGraphql(other.url, EU.key, ingest, { input: { events: [ownEvent('before'), event({})] } })
    const gate = Promise.withResolvers<void>()
    const waiting = Promise.withResolvers<void>()
    const record = committer.record.bind(committer)
    let asked = 0
    committer.record = async (drafts, epoch) => {
      if (++asked === 1) {
        waiting.resolve()
        await gate.promise
      }
      return record(drafts, epoch)
    }
    const answer = sendGraphql(other.url, EU.key, ingest, { input: { events: [ownEvent('in flight'), event({})] } })
    await waiting.promise
    const id = await approvedRequest(trio, asking())
    expect(await run()).toBe(1)
    const { completedAt } = await readRequest(trio.staff, id)
    gate.resolve()
    const { data, errors } = await answer
    expect(errors).toBeUndefined()
    expect(asked).toBe(2)
    for (const { eventId } of data.ingestEvents.receipts) {
      const shown = await world.gql(world.acme.key, `{ event(id: "${eventId}") { receivedAt } }`)
      expect(shown.data.event.receivedAt > completedAt).toBe(true)
    }
    await other.app.close()
    expect(await verifyChain(world, EU)).toMatchObject({ ok: true })
  })
})
