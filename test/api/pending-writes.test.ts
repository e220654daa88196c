import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createWorld, type World } from '../harness/app.js'
import { verifiedChain } from '../harness/chain.js'
import { eventually } from '../harness/eventually.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

let proxy: TcpProxy
let world: World
beforeAll(async () => {
  proxy = await TcpProxy.before(inject('postgres').serviceUrl)
  world = await createWorld({ regionUrl: (region, url) => (region === 'EU' ? proxy.urlFor(url) : url) })
})
afterAll(async () => {
  await proxy.set('pass')
  await world.close()
  await proxy.close()
})

const ingest = (key: string, input: Record<string, unknown>) =>
  world.gql(
    key,
    `mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId status replayed sequence hash } event { id } } }`,
    { input },
  )

describe('a region that is down', () => {
  it('has its events queued, and brought home when it is back', async () => {
    const { EU } = world.acme.in
    const event = { action: 'a', category: 'c', actor: { id: 'u-1', email: 'ada@example.com' }, payload: { n: 1 } }
    expect((await ingest(EU.key, event)).data.ingestEvent.receipt).toMatchObject({ status: 'RECORDED', sequence: 1 })
    await proxy.set('hang')
    const queued = await ingest(EU.key, event)
    expect(queued.data.ingestEvent.receipt).toMatchObject({ status: 'QUEUED', sequence: null, hash: null })
    await ingest(EU.key, event)
    await proxy.set('pass')
    const { eventId } = queued.data.ingestEvent.receipt
    await eventually('it is there', async () => {
      const answer = await world.gql(world.acme.key, `{ event(id: "${eventId}") { id sequence actor { email } } }`)
      return answer.data?.event?.sequence === 2 && answer.data.event.actor.email === 'ada@example.com'
    })
    await eventually('home', async () => (await ingest(EU.key, event)).data.ingestEvent.receipt.status === 'RECORDED')
    await verifiedChain(world.app.registry.get('EU').database, EU)
  })
})
