import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { sendGraphql } from '../harness/app.js'
import { approvedRequest, makeTrio, readRequest, showEvent, type Trio } from '../harness/gdpr.js'
import { createOutageWorld, heal, type OutageWorld } from '../harness/outage.js'

/*
 * Events of a subject that come into the pending queue while the erasure of the subject ends.
 */

let world: OutageWorld
let trio: Trio
beforeAll(async () => {
  world = await createOutageWorld()
  trio = await makeTrio(world, world.acme)
})
afterAll(() => world.close())

const ingest = 'mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId status } } }'

it('what was accepted before a request was done is accepted anew when it comes into the queue after it', async () => {
  const { EU } = world.acme.in
  const subject = { id: `subject-${randomUUID().slice(0, 8)}` }
  const event = (n: string) => ({ action: 'doc.read', category: 'docs', actor: subject, payload: { n } })
  await world.record(EU, [event('first')])
  const other = await world.another()
  const committer = other.app.committers.of('EU')
  const gate = Promise.withResolvers<void>()
  const waiting = Promise.withResolvers<void>()
  const record = committer.record.bind(committer)
  let asked = 0
  committer.record = async (drafts, known) => {
    if (++asked === 1) {
      waiting.resolve()
      await gate.promise
    }
    return record(drafts, known)
  }
  const answer = sendGraphql(other.url, EU.key, ingest, { input: event('in flight') })
  await waiting.promise
  const id = await approvedRequest(trio, { companyId: world.acme.gid, requestType: 'DELETE', actorId: subject.id })
  expect(await eraseRequests(world.app.erasure, new AbortController().signal)).toBe(1)
  const { status, completedAt } = await readRequest(trio.staff, id)
  expect(status).toBe('DONE')

  await world.eu.set('refuse')
  gate.resolve()
  const { data, errors } = await answer
  expect(errors).toBeUndefined()
  const { receipt } = data.ingestEvent
  expect(receipt.status).toBe('QUEUED')
  // The control: held against nothing, it would have been queued as it had been accepted.
  expect(asked).toBe(2)
  await heal(world)
  const shown = await world.gql(world.acme.key, `{ event(id: "${receipt.eventId}") { receivedAt } }`)
  expect(shown.data.event.receivedAt > completedAt).toBe(true)
  expect(await showEvent(world, receipt.eventId)).toMatchObject({ payload: { n: 'in flight' } })
  await other.app.close()
})
