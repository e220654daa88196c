import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World } from '../harness/app.js'
import { archiveNow, DAY_MS, indexed } from '../harness/archive.js'

// What the database lets nobody do to events on their way to the archive, and in it.

let world: World
beforeAll(async () => {
  world = await createWorld()
  const later = new Date(Date.now() + 400 * DAY_MS)
  await world.record(world.acme.in.EU, [{ action: 'a.b', category: 'c', actor: { id: 'ana' }, payload: { x: 1 } }])
  await archiveNow(world, 'EU', { clock: { now: () => later } })
  await world.record(world.acme.in.EU, [{ action: 'a.c', category: 'c', actor: { id: 'ana' } }])
  await indexed(world)
})
afterAll(() => world.close())

const claim = (first: number, last: number): string =>
  `select claim_archive_object('00000000-0000-7000-8000-000000000001', workspace_id, company_id, current_date, ${first}, ${last}, 'k', '00000000-0000-7000-8000-000000000002', now()) from event limit 1`
const verified = `select verify_archive_object('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002', 1, sha256(''), sha256(''), now())`
const move = (fingerprint: string): string =>
  `select archive_events('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002', ${fingerprint}) as moved`

async function asService(work: (client: Client) => Promise<void>, url = world.databases.regions.EU.databaseUrl) {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(
      `set app.companies = '${world.acme.id}'; set hyrelog.archiving = 'on'; set hyrelog.erasing = 'on'`,
    )
    await client.query('begin')
    await work(client)
  } finally {
    await client.end()
  }
}

describe('with the login of the service', () => {
  it.each([
    ['deletes an event under the marker', 'delete from event', '42501'],
    ['changes a place', 'update archived_event set actor_id_tag = null', '42501'],
    ['writes a place', 'insert into archived_event select * from archived_event', '42501'],
    ['deletes a place', 'delete from archived_event', '42501'],
    ['changes the digest of an object', `update archive_object set sha256 = sha256('')`, '42501'],
    ['deletes an object', 'delete from archive_object', '42501'],
    [
      'writes garbage to be deleted',
      `insert into archive_garbage select key, workspace_id, company_id, now() from archive_object`,
      '42501',
    ],
    ['ends a deferred erasure', 'delete from deferred_erasure', '42501'],
    [
      'erases in an object without the event that says so',
      `select erase_archived(id, sha256, 1, gen_random_uuid(), now(), null, '{1}', '{true}', '{true}', '{true}', '{true}', '{1}', array[sha256('')], null, null, null) from archive_object`,
      'HY001',
    ],
  ])('nobody %s', async (_, statement, code) => {
    await asService(async (client) => {
      await expect(client.query(statement)).rejects.toMatchObject({ code })
    })
  })

  it('no event leaves before its object is verified, nor one that is not as it was written', async () => {
    await asService(async (client) => {
      await client.query(claim(2, 2))
      expect((await client.query(move(`sha256('')`))).rows).toEqual([{ moved: false }])
      expect((await client.query('select count(*)::int as n from event')).rows).toEqual([{ n: 1 }])
      await client.query(verified)
      await expect(client.query(move(`sha256('')`))).rejects.toMatchObject({ code: '40001' })
    })
  })

  it('no object of another tenant is seen or taken', async () => {
    await asService(async (client) => {
      await client.query(`set local app.companies = '${world.globex.id}'`)
      for (const table of ['archive_object', 'archived_event', 'stored_event', 'archive_garbage'])
        expect((await client.query(`select count(*)::int as n from ${table}`)).rows).toEqual([{ n: 0 }])
      await expect(
        client.query(
          `select claim_archive_object(gen_random_uuid(), '${world.acme.in.EU.id}', '${world.acme.id}', current_date, 2, 2, 'k', gen_random_uuid(), now())`,
        ),
      ).rejects.toMatchObject({ code: '42501' })
    })
  })
})

it('copies of the region are told which runs left it, across tenants', async () => {
  await asService(async (client) => {
    await client.query(`set local app.companies = ''; set local app.across_tenants = 'on'`)
    const { rows } = await client.query('select * from archived_runs(0, 10)')
    expect(rows).toEqual([
      expect.objectContaining({
        workspace_id: world.acme.in.EU.id,
        first_sequence: '1',
        last_sequence: '1',
        revision: 1,
      }),
    ])
    expect((await client.query('select * from archived_runs($1, 10)', [rows[0].change])).rows).toEqual([])
  })
})

it('the owner of the tables moves no stored object and changes no place either', async () => {
  for (const statement of [
    `update archived_event set action = 'x.y'`,
    'delete from archived_event',
    'delete from archive_object',
    'update archive_object set last_sequence = last_sequence + 1',
    'truncate archived_event',
    'delete from event',
  ])
    await asService(async (client) => {
      await expect(client.query(statement)).rejects.toMatchObject({ code: 'HY001' })
    }, world.databases.regions.EU.ownerUrl)
})
