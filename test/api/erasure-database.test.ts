import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World } from '../harness/app.js'

// What an erasure may do, tried by who has the login of the service or of the tables' owner, and no erasure to do.

let world: World
beforeAll(async () => {
  world = await createWorld()
  await world.record(world.acme.in.EU, [{ action: 'a.b', category: 'c', actor: { id: 'ana' }, payload: { x: 1 } }])
})
afterAll(() => world.close())

describe('with the login of the service', () => {
  it.each([
    [
      'erases without the event that says so',
      `select erase_disclosures((select workspace_id from event limit 1), 1, now(), null, '{1}', '{null}', '{null}', '{null}', '{null}', '{true}', '{true}', '{true}', '{1}', array[decode(repeat('00', 32), 'hex')])`,
      'HY001',
    ],
    ['changes an event with the marker set', `update event set content_blob = null`, '42501'],
    [
      'writes a tombstone',
      `insert into tombstone select workspace_id, sequence, hash, company_id, sequence + 1 from event limit 1`,
      '42501',
    ],
    ['deletes a key', 'delete from subject_key', '42501'],
    ['rewinds a bucket', 'update key_bucket set generation = 0', '42501'],
    [
      'wraps with a key that was replaced',
      `insert into subject_key select gen_random_uuid(), company_id, decode(md5(random()::text), 'hex'), blob, null, null, bucket, wrapped, now(), generation + 1 from subject_key limit 1`,
      'HY002',
    ],
    [
      'ends the turn of a bucket and leaves keys out',
      `select end_bucket_turn((select bucket from subject_key limit 1), (select k.generation from key_bucket k join subject_key s on s.bucket = k.bucket limit 1), '{}', '{}', '{}')`,
      '40001',
    ],
  ])('nobody %s', async (_, statement, code) => {
    const client = new Client({ connectionString: world.databases.regions.EU.databaseUrl })
    await client.connect()
    try {
      await client.query(
        `set app.companies = '${world.acme.id}'; set hyrelog.erasing = 'on'; set hyrelog.turning_bucket = '1'`,
      )
      await expect(client.query(statement)).rejects.toMatchObject({ code })
    } finally {
      await client.end()
    }
  })

  it('and the owner can not rewrite an event under the marker either', async () => {
    const client = new Client({ connectionString: world.databases.regions.EU.ownerUrl })
    await client.connect()
    try {
      await client.query(`set app.companies = '${world.acme.id}'; set hyrelog.erasing = 'on'`)
      await expect(client.query(`update event set action = 'x.y', erased_at = now()`)).rejects.toMatchObject({
        code: 'HY001',
      })
      await expect(client.query('truncate tombstone')).rejects.toMatchObject({ code: 'HY001' })
    } finally {
      await client.end()
    }
  })
})
