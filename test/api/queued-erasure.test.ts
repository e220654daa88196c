import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, isRead, makeTrio, readRequest, showEvent, type Trio, verifyChain } from '../harness/gdpr.js'
import { createOutageWorld, heal, ingestAt, type OutageWorld, taken } from '../harness/outage.js'

let world: OutageWorld
let trio: Trio
beforeAll(async () => {
  world = await createOutageWorld()
  trio = await makeTrio(world, world.acme)
})
afterAll(() => world.close())

const email = 'zoe.quint@people.example'
const ingest = (input: Record<string, unknown>) =>
  taken(ingestAt(world.url, world.acme.in.EU.key, { action: 'a', category: 'c', ...input }))
const erase = () => eraseRequests(world.app.erasure, new AbortController().signal)

it('an erasure reaches what was queued before it was done, and dead letters; it is not DONE before', async () => {
  const before = await ingest({ actor: { email } })
  await ingest({ idempotencyKey: 'k-1' })
  await ingest({ idempotencyKey: 'k-2' })
  await ingest({ idempotencyKey: 'k-3' })
  await world.eu.set('refuse')
  const own = await ingest({ actor: { email, name: 'Zoe' }, payload: { note: `by ${email}` } })
  const mention = await ingest({ actor: { id: 'boss' }, payload: { to: email, kept: 1 } })
  // These can't be recorded: their keys stand for other content.
  const deadOwn = await ingest({ action: 'b', idempotencyKey: 'k-1', actor: { email } })
  const deadMention = await ingest({ action: 'b', idempotencyKey: 'k-2', payload: { to: email } })
  const deadOther = await ingest({ action: 'b', idempotencyKey: 'k-3', actor: { id: 'boss' }, payload: { kept: 1 } })
  for (const { status } of [own, mention, deadOwn, deadMention, deadOther]) expect(status).toBe('QUEUED')

  const id = await approvedRequest(trio, { companyId: world.acme.gid, requestType: 'DELETE', actorEmail: email })
  expect(await erase()).toBe(0)
  expect((await readRequest(trio.staff, id))['status']).toBe('PROCESSING')
  // Even where the region answers again, what waits for it comes first.
  await heal(world)
  const [old] = await world.app.control.query<{ pending_key: string }>('select distinct pending_key from dead_letter')
  await eventually('the request to be done', async () => {
    await erase()
    return (await readRequest(trio.staff, id))['status'] === 'DONE'
  })
  await isRead(world)
  for (const { eventId } of [before, own]) {
    const shown = await showEvent(world, eventId)
    expect(shown.erasedAt).not.toBeNull()
    expect(shown.actor?.email ?? null).toBeNull()
  }
  expect((await showEvent(world, mention.eventId)).payload).toEqual({ kept: 1 })
  const { evidence } = await readRequest(trio.staff, id)
  expect(evidence).toContainEqual({ region: 'EU', store: 'dead letters', records: 2 })
  expect(evidence).toContainEqual({ region: 'EU', store: 'pending queue', records: 0 })
  // The one that was nobody's concern is kept, under another key; the key of the others is gone.
  const letters = await world.app.control.query<{ pending_key: string }>('select pending_key from dead_letter')
  expect(letters).toHaveLength(1)
  expect(letters[0]!.pending_key).not.toBe(old!.pending_key)
  await expect(world.app.erasure.vault.pendingKey('EU', old!.pending_key, false)).rejects.toThrow(/is gone/)
  expect(await verifyChain(world, world.acme.in.EU)).toMatchObject({ ok: true })
})

it('of an anonymised subject, too, every key goes: nothing that was queued opens any more', async () => {
  const person = { id: 'subject-77', email: 'ann@people.example' }
  await world.eu.set('refuse')
  for (let n = 0; n < 3; n++) await ingest({ actor: person, payload: { n } })
  await heal(world)
  const id = await approvedRequest(trio, {
    companyId: world.acme.gid,
    requestType: 'ANONYMIZE',
    actorEmail: person.email,
    actorId: person.id,
  })
  await eventually('the request to be done', async () => {
    await erase()
    return (await readRequest(trio.staff, id))['status'] === 'DONE'
  })
  await isRead(world)
  const { data } = await world.gql(world.acme.in.EU.key, '{ workspaceEvents { nodes { actor { id email } payload } } }')
  const own = data.workspaceEvents.nodes.filter(({ payload }: { payload: { n?: number } }) => payload.n !== undefined)
  expect(own).toHaveLength(3)
  for (const { actor } of own) expect(actor.id).toMatch(/^anon_/)
  expect(await verifyChain(world, world.acme.in.EU)).toMatchObject({ ok: true })
})

it("the key of an outage goes, too, where only somebody else's dead letter is still under it", async () => {
  const person = `subject-${randomUUID().slice(0, 8)}`
  const { vault } = world.app.erasure
  const letters = () =>
    world.app.control.query<{ id: string; pending_key: string }>('select id, pending_key from dead_letter order by id')
  const before = new Set((await letters()).map(({ id }) => id))
  await ingest({ idempotencyKey: 'k-4' })
  await world.eu.set('refuse')
  const own = await ingest({ actor: { id: person }, payload: { note: `by ${person}` } })
  const other = await ingest({ action: 'b', idempotencyKey: 'k-4', actor: { id: 'boss' }, payload: { kept: 1 } })
  expect([own.status, other.status]).toEqual(['QUEUED', 'QUEUED'])
  await heal(world)
  const [letter] = (await letters()).filter(({ id }) => !before.has(id))
  // The control: with it, what the log of the control database keeps of the event could be read.
  await expect(vault.pendingKey('EU', letter!.pending_key, false)).resolves.toBeDefined()
  const id = await approvedRequest(trio, { companyId: world.acme.gid, requestType: 'DELETE', actorId: person })
  await eventually('the request to be done', async () => {
    await erase()
    return (await readRequest(trio.staff, id))['status'] === 'DONE'
  })
  await expect(vault.pendingKey('EU', letter!.pending_key, false)).rejects.toThrow(/is gone/)
  const [after] = (await letters()).filter((one) => one.id === letter!.id)
  // And the letter opens as it did: what it says is found by whoever is erased next.
  const next = await approvedRequest(trio, { companyId: world.acme.gid, requestType: 'DELETE', actorId: 'boss' })
  await expect(vault.pendingKey('EU', after!.pending_key, false)).resolves.toBeDefined()
  await eventually('the next request to be done', async () => {
    await erase()
    return (await readRequest(trio.staff, next))['status'] === 'DONE'
  })
  expect((await letters()).some((one) => one.id === letter!.id)).toBe(false)
})
