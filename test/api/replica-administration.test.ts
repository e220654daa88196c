import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Region } from '../../src/kernel/region.js'
import { asPerson, outcome, type Person } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { createEmptyDatabase } from '../harness/databases.js'
import { eventually } from '../harness/eventually.js'

let world: World
let staff: Person
beforeAll(async () => {
  world = await createWorld()
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
})
afterAll(() => world.close())

const resync = (workspaceId: string, region: Region) =>
  staff.gql('mutation ($input: ResyncReplicaInput!) { resyncReplica(input: $input) { workspace { id } region } }', {
    input: { workspaceId, region },
  })

describe('setCompanyReplication', () => {
  const set = (person: Person, replicateTo: readonly string[], companyId = world.acme.gid) =>
    person.gql(
      `mutation ($input: SetCompanyReplicationInput!) { setCompanyReplication(input: $input) { company { replicateTo } } }`,
      { input: { companyId, replicateTo } },
    )

  it.each([
    ['the primary region', ['EU', 'AU']],
    ['a region twice', ['EU', 'US', 'EU']],
  ])('refuses %s', async (_, replicateTo) => {
    const answer = await set(staff, replicateTo)
    expect(outcome(answer)).toBe('BAD_USER_INPUT')
    expect(answer.errors![0]!.extensions.field).toBe('input.replicateTo')
  })

  it('refuses a region that is not configured', async () => {
    const [row] = await rowsOfControl(`select * from region_data_store where region = 'APAC'`)
    await world.app.control.query(`update company set replicate_to = '{}' where id = $1`, [world.acme.id])
    await rowsOfControl(`delete from region_data_store where region = 'APAC'`)
    await eventually('it is gone', () => world.app.registry.find('APAC') === undefined)
    const answer = await set(staff, ['APAC'])
    expect(answer.errors![0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.replicateTo' })
    await world.app.control.query(
      `insert into region_data_store select * from jsonb_populate_record(null::region_data_store, $1)`,
      [
        JSON.stringify({
          ...row,
          database_url_sealed: `\\x${(row!['database_url_sealed'] as Buffer).toString('hex')}`,
          owner_url_sealed: null,
          read_only_url_sealed: null,
        }),
      ],
    )
    await eventually('it is back', () => world.app.registry.find('APAC') !== undefined)
  })

  it('is for staff, and is written in the admin log', async () => {
    const owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    expect(outcome(await set(owner, ['EU']))).toBe('FORBIDDEN')
    expect((await set(staff, ['EU', 'US'])).data.setCompanyReplication.company.replicateTo).toEqual(['EU', 'US'])
    const log = await staff.gql(`{ adminLog(companyId: "${world.acme.gid}", first: 5) { nodes { action payload } } }`)
    expect(log.data.adminLog.nodes).toContainEqual({
      action: 'company.replication_set',
      payload: { old: [], new: ['EU', 'US'] },
    })
    expect(outcome(await set(staff, [], 'co_00000000000000000000000000'))).toBe('NOT_FOUND')
  })
})

async function rowsOfControl(sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: world.databases.superuserUrl(world.databases.control.name) })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

describe('resyncReplica', () => {
  it('refuses where there is no replica, and who is not staff', async () => {
    expect(outcome(await resync(world.acme.in.AU.gid, 'US'))).toBe('BAD_USER_INPUT')
    const owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const answer = await owner.gql(
      `mutation { resyncReplica(input: { workspaceId: "${world.acme.in.AU.gid}", region: US }) { region } }`,
    )
    expect(outcome(answer)).toBe('FORBIDDEN')
  })
})

describe('upsertRegionDataStore', () => {
  const upsert = (person: Person, input: Record<string, unknown>) =>
    person.gql(
      `mutation ($input: UpsertRegionDataStoreInput!) { upsertRegionDataStore(input: $input) {
         region dbUrl coldStorage { provider bucket } } }`,
      { input: { region: 'APAC', coldStorageProvider: 'LOCAL', coldStorageBucket: '/cold/apac', ...input } },
    )

  it('migrates an empty database, moves the region there within moments, and shows no password', async () => {
    const fresh = await createEmptyDatabase()
    try {
      const answer = await upsert(staff, { dbUrl: fresh.databaseUrl, ownerUrl: fresh.ownerUrl })
      expect(answer.errors).toBeUndefined()
      const { dbUrl, coldStorage } = answer.data.upsertRegionDataStore
      expect(dbUrl).toContain(new URL(fresh.databaseUrl).pathname)
      expect(JSON.stringify(answer)).not.toContain(decodeURIComponent(new URL(fresh.databaseUrl).password))
      expect(new URL(dbUrl).password).toBe('****')
      expect(coldStorage).toEqual({ provider: 'LOCAL', bucket: '/cold/apac' })
      await eventually('it is in use', () => world.app.registry.find('APAC')?.coldStorage.bucket === '/cold/apac')
      const { APAC } = world.acme.in
      await world.record(APAC, [{ action: 'a', category: 'b' }])
      const client = new Client({ connectionString: world.databases.superuserUrl(fresh.name) })
      await client.connect()
      const { rows } = await client.query('select count(*)::int as n from event where workspace_id = $1', [APAC.id])
      await client.end()
      expect(rows).toEqual([{ n: 1 }])
      const log = await staff.gql('{ adminLog(first: 20) { nodes { action payload } } }')
      const entry = log.data.adminLog.nodes.find((one: { action: string }) => one.action === 'region.data_store_set')
      expect(entry.payload).toMatchObject({ dbUrl, hasOwner: true, hasReadOnly: false })

      // Back to where it was, which needs no migration.
      const back = await upsert(staff, { dbUrl: world.databases.regions.APAC.databaseUrl, coldStorageBucket: '/cold' })
      expect(back.errors).toBeUndefined()
      await eventually('it is back', () => world.app.registry.find('APAC')?.coldStorage.bucket === '/cold')
    } finally {
      await fresh.drop()
    }
  })

  it.each<[string, (urls: { dbUrl: string; ownerUrl: string }) => Record<string, unknown>, string]>([
    ['no URL', () => ({ dbUrl: 'localhost' }), 'input.dbUrl'],
    ['a server that does not answer', ({ dbUrl }) => ({ dbUrl: withPort(dbUrl, '1') }), 'input.dbUrl'],
    ['a role that owns the tables', ({ ownerUrl }) => ({ dbUrl: ownerUrl }), 'input.dbUrl'],
    ['an owner of another database', ({ dbUrl, ownerUrl }) => ({ dbUrl, ownerUrl: `${ownerUrl}x` }), 'input.ownerUrl'],
    ['a silent read-only server', ({ dbUrl }) => ({ dbUrl, readOnlyUrl: withPort(dbUrl, '1') }), 'input.readOnlyUrl'],
    ['no bucket', ({ dbUrl }) => ({ dbUrl, coldStorageBucket: ' ' }), 'input.coldStorageBucket'],
    [
      'a folder that depends on where the process runs',
      ({ dbUrl }) => ({ dbUrl, coldStorageBucket: 'cold' }),
      'input.coldStorageBucket',
    ],
    [
      'a bucket that nobody can have',
      ({ dbUrl }) => ({ dbUrl, coldStorageProvider: 'GCP', coldStorageBucket: 'Cold/1' }),
      'input.coldStorageBucket',
    ],
  ])('refuses %s and changes nothing', async (_, inputOf, field) => {
    const { databaseUrl: dbUrl, ownerUrl } = world.databases.regions.APAC
    const before = await world.app.control.query('select * from region_data_store order by region')
    const answer = await upsert(staff, inputOf({ dbUrl, ownerUrl }))
    expect(answer.errors![0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field })
    expect(JSON.stringify(answer.errors)).not.toContain(decodeURIComponent(new URL(dbUrl).password))
    expect(await world.app.control.query('select * from region_data_store order by region')).toEqual(before)
  })

  it("refuses another region's database, and one without tables where nobody is given who makes them", async () => {
    const taken = await upsert(staff, { dbUrl: world.databases.regions.EU.databaseUrl })
    expect(taken.errors![0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.dbUrl' })
    const fresh = await createEmptyDatabase()
    const bare = await upsert(staff, { dbUrl: fresh.databaseUrl })
    expect(bare.errors![0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.dbUrl' })
    await fresh.drop()
  })

  it('is for SUPER_ADMIN', async () => {
    const other = await asPerson(world, { staffRole: 'SUPPORT_ADMIN' })
    expect(outcome(await upsert(other, { dbUrl: 'postgres://a:b@127.0.0.1/c' }))).toBe('FORBIDDEN')
  })
})

function withPort(url: string, port: string): string {
  const changed = new URL(url)
  changed.port = port
  return changed.href
}
