import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createWorld, type World } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'

const record = `mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId status sequence replayed } } }`
const input = { action: 'invoice.paid', category: 'billing', idempotencyKey: 'once' }

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

/** New connections of the service to the region find it like this; the others end. */
async function setReadOnly(state: 'on' | 'off'): Promise<void> {
  const { name } = world.databases.regions.EU
  const client = new Client({ connectionString: world.databases.superuserUrl('postgres') })
  await client.connect()
  try {
    await client.query(`alter database ${name} set default_transaction_read_only = ${state}`)
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  } finally {
    await client.end()
  }
}

it('a region that takes no writes now is an outage, not a fault of ours: what it gets is queued, and recorded once', async () => {
  const { key } = world.acme.in.EU
  await setReadOnly('on')
  const queued = await world.gql(key, record, { input })
  expect(queued.errors).toBeUndefined()
  const { eventId } = queued.data.ingestEvent.receipt
  expect(queued.data.ingestEvent.receipt).toMatchObject({ status: 'QUEUED', sequence: null, replayed: false })
  const other = await world.gql(world.acme.in.US.key, record, { input })
  expect(other.data.ingestEvent.receipt).toMatchObject({ status: 'RECORDED' })

  await setReadOnly('off')
  const recorded = await eventually('it to be recorded', async () => {
    const again = await world.gql(key, record, { input })
    return again.data.ingestEvent.receipt.status === 'RECORDED' && again.data.ingestEvent.receipt
  })
  expect(recorded).toEqual({ eventId, status: 'RECORDED', sequence: 1, replayed: true })
})
