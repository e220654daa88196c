import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createWorld, type World } from '../harness/app.js'

const record = `mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { status sequence replayed } } }`
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

it('a region that takes no writes now is an outage, not a fault of ours, and nothing is recorded twice for it', async () => {
  const { key } = world.acme.in.EU
  await setReadOnly('on')
  const refused = await world.gql(key, record, { input })
  expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'REGION_UNAVAILABLE', regions: ['EU'] })
  const other = await world.gql(world.acme.in.US.key, record, { input })
  expect(other.data.ingestEvent.receipt).toMatchObject({ status: 'RECORDED' })

  await setReadOnly('off')
  const recorded = await world.gql(key, record, { input })
  expect(recorded.data.ingestEvent.receipt).toEqual({ status: 'RECORDED', sequence: 1, replayed: false })
})
