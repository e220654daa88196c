import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Region } from '../../src/kernel/region.js'
import { replicateRegion, tendReplicas } from '../../src/replication/replicate-region.js'
import { asPerson, type Person } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { copied, countRows, replicaOf, rowsOf, setReplicas } from '../harness/replicas.js'
import { Client } from 'pg'

let world: World
let staff: Person
beforeAll(async () => {
  world = await createWorld()
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
})
afterAll(() => world.close())
afterEach(async () => {
  await setReplicas(staff, world.acme, [])
  for (const region of ['US', 'EU'] as const)
    await eventually(`nothing is left in ${region}`, async () => (await headsIn(region)).length === 0)
})

const never = new AbortController().signal
const events = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    action: 'doc.read',
    category: 'docs',
    actor: { id: `user-${index % 7}`, email: `user-${index % 7}@people.example` },
    payload: { index, note: 'n'.repeat(index % 50) },
  }))
const headsIn = (region: Region) => rowsOf<{ workspace_id: string }>(world, region, 'select * from replica.chain_head')
const keysIn = (region: Region) =>
  rowsOf<{ id: string; bucket: number; generation: number }>(
    world,
    region,
    'select id, bucket, generation from subject_key where replica_of is not null',
  )
const columns = `sequence, id, company_id, project_id, term, body, prev_hash, hash, occurred_at, received_at, action, category,
  target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag, identity_blob, content_blob, erased_at, actor_pseudonym`
const storedIn = (region: Region, table: string, workspaceId: string) =>
  rowsOf(world, region, `select ${columns} from ${table} where workspace_id = $1 order by sequence`, [workspaceId])
const homeSize = async (of: World, workspaceId: string): Promise<number> =>
  (
    await rowsOf<{ n: number }>(of, 'AU', 'select sequence::int as n from chain_head where workspace_id = $1', [
      workspaceId,
    ])
  )[0]?.n ?? 0
const sequenceOf = (workspaceId: string): Promise<number> => homeSize(world, workspaceId)
const resync = (workspaceId: string, region: Region) =>
  staff.gql('mutation ($input: ResyncReplicaInput!) { resyncReplica(input: $input) { workspace { id } region } }', {
    input: { workspaceId, region },
  })
const replicaRegions = async () => {
  const { data, errors } = await world.gql(
    world.acme.key,
    `{ companyRegions { primary { replicationLagEvents } replicas { region healthy replicationLagEvents replicationLagSeconds stoppedReplicas } } }`,
  )
  expect(errors).toBeUndefined()
  return data.companyRegions.replicas as {
    region: Region
    replicationLagEvents: number | null
    replicationLagSeconds: number | null
    stoppedReplicas: number | null
  }[]
}

describe('a company that replicates', () => {
  it('has its chains copied from the beginning, byte for byte, and followed as they grow', async () => {
    const { acme } = world
    const { AU, EU } = acme.in
    await world.record(AU, events(600))
    const before = await sequenceOf(AU.id)
    await setReplicas(staff, acme, ['EU'])
    await copied(world, 'EU', AU.id, before)
    await world.record(AU, events(3))
    await copied(world, 'EU', AU.id, before + 3)
    expect(await storedIn('EU', 'replica.event', AU.id)).toEqual(await storedIn('AU', 'event', AU.id))
    const nodes = (region: Region, table: string) =>
      rowsOf(world, region, `select level, index, hash from ${table} where workspace_id = $1 order by 1, 2`, [AU.id])
    expect(await nodes('EU', 'replica.merkle_node')).toEqual(await nodes('AU', 'merkle_node'))
    expect((await nodes('AU', 'merkle_node')).length).toBeGreaterThan(0)
    // What lives in a region is not copied there, and another company's is copied nowhere.
    expect(await replicaOf(world, 'EU', EU.id)).toBeNull()
    await world.record(world.globex.in.AU, events(1))
    expect(await countRows(world, 'EU', 'replica.event', [world.globex.in.AU.id])).toBe(0)
  })

  it('has what another process records copied, by whichever process', async () => {
    const { AU } = world.acme.in
    await setReplicas(staff, world.acme, ['US'])
    const other = await world.another()
    try {
      const before = await sequenceOf(AU.id)
      const { data } = await fetch(other.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${AU.key}` },
        body: JSON.stringify({
          query: 'mutation { ingestEvent(input: { action: "a", category: "b" }) { receipt { sequence } } }',
        }),
      }).then((response) => response.json() as Promise<{ data: { ingestEvent: { receipt: { sequence: number } } } }>)
      expect(data.ingestEvent.receipt.sequence).toBe(before + 1)
      await copied(world, 'US', AU.id, before + 1)
    } finally {
      await other.app.close()
    }
  })

  it('never has a copy counted or shown twice', async () => {
    const { acme } = world
    const { AU } = acme.in
    const action = `once-${randomUUID()}`
    await setReplicas(staff, acme, ['US', 'EU'])
    await world.record(AU, [{ action, category: 'docs' }])
    const sequence = await sequenceOf(AU.id)
    for (const region of ['US', 'EU'] as const) await copied(world, region, AU.id, sequence)
    await eventually('the index knows it', async () => (await world.app.indexer.pendingOf('AU')) === 0)
    const { data } = await world.gql(
      acme.key,
      `{ globalEvents(filter: { actions: ["${action}"] }) { totalCount nodes { id dataRegion servedBy } regions { region eventCount } } }`,
    )
    expect(data.globalEvents.totalCount).toBe(1)
    expect(data.globalEvents.nodes).toEqual([expect.objectContaining({ dataRegion: 'AU', servedBy: 'AU' })])
    const inUs = data.globalEvents.regions.find((one: { region: Region }) => one.region === 'US')
    expect(inUs.eventCount).toBe(0)
  })

  it('shows how its replicas are', async () => {
    const { AU } = world.acme.in
    await setReplicas(staff, world.acme, ['US'])
    await world.record(AU, events(2))
    await copied(world, 'US', AU.id, await sequenceOf(AU.id))
    const shown = await eventually('the lag is known', async () => {
      const [replica] = await replicaRegions()
      return replica?.replicationLagEvents === 0 && replica
    })
    expect(shown).toMatchObject({ region: 'US', replicationLagSeconds: 0, stoppedReplicas: 0 })
  })

  it('has a replica that is no longer wanted deleted, and its keys destroyed with their buckets', async () => {
    const { AU } = world.acme.in
    await world.record(AU, events(10))
    await setReplicas(staff, world.acme, ['EU'])
    await copied(world, 'EU', AU.id, await sequenceOf(AU.id))
    const keys = await keysIn('EU')
    expect(keys.length).toBeGreaterThan(0)
    const own = await rowsOf<{ n: number }>(
      world,
      'EU',
      'select count(*)::int n from subject_key where replica_of is null',
    )
    await setReplicas(staff, world.acme, [])
    await eventually('it is purged', async () => (await replicaOf(world, 'EU', AU.id)) === null)
    for (const table of ['event', 'merkle_node', 'tombstone', 'checkpoint', 'checkpoint_history'])
      expect(await countRows(world, 'EU', `replica.${table}`, [AU.id])).toBe(0)
    expect(await keysIn('EU')).toEqual([])
    const buckets = await rowsOf<{ bucket: number; generation: number }>(world, 'EU', 'select * from key_bucket')
    for (const { bucket, generation } of keys)
      expect(buckets.find((one) => one.bucket === bucket)!.generation).toBeGreaterThan(generation)
    // The region's own keys stayed, wrapped anew.
    expect(await rowsOf(world, 'EU', 'select count(*)::int n from subject_key where replica_of is null')).toEqual(own)
    expect(
      (
        await rowsOf(
          world,
          'EU',
          'select 1 from subject_key k join key_bucket b using (bucket) where b.generation <> k.generation and b.generation > 0 and k.generation = 0',
        )
      ).length,
    ).toBe(0)
  })
})

describe('copying', () => {
  // Its own process copies nothing: what happens when is for the tests to say.
  let still: World
  beforeAll(async () => {
    still = await createWorld({ replicates: false })
    await still.app.control.query(`update company set replicate_to = '{US}' where id = $1`, [still.acme.id])
  })
  afterAll(() => still.close())
  const round = (onStep: () => void = () => undefined) =>
    replicateRegion({ ...still.app.replication, onStep }, 'US', never)
  const sequences = async (workspaceId: string) =>
    (
      await rowsOf<{ sequence: number }>(
        still,
        'US',
        'select sequence::int from replica.event where workspace_id = $1 order by sequence',
        [workspaceId],
      )
    ).map(({ sequence }) => sequence)

  it('is not doubled by many workers at once', async () => {
    const { AU } = still.acme.in
    await still.record(AU, events(2_100))
    const rounds = await Promise.all([round(), round(), round()])
    expect(rounds.flatMap(({ failures }) => failures)).toEqual([])
    expect(rounds.reduce((sum, { copied: count }) => sum + count, 0)).toBe(2_100)
    expect(await sequences(AU.id)).toEqual(Array.from({ length: 2_100 }, (_, index) => index + 1))
  })

  it('goes on where it died, whichever step that was', async () => {
    const { AU } = still.acme.in
    let deaths = 0
    for (let at = 1; ; at++) {
      let steps = 0
      await still.record(AU, events(5))
      const { failures } = await round(() => {
        if (++steps === at) throw new Error('killed')
      })
      deaths += failures.length
      if (steps < at) break
    }
    expect(deaths).toBeGreaterThan(2)
    expect(await sequences(AU.id)).toEqual(
      Array.from({ length: await homeSize(still, AU.id) }, (_, index) => index + 1),
    )
  })

  it('stops a replica that was tampered with, raises an alarm, and has it rebuilt when staff say so', async () => {
    const { AU, APAC } = world.acme.in
    await world.record(AU, events(30))
    await world.record(APAC, events(3))
    await setReplicas(staff, world.acme, ['US'])
    const size = await sequenceOf(AU.id)
    await copied(world, 'US', AU.id, size)
    const compared = await tendReplicas(world.app.replication, 'US', never)
    expect(compared).toBeGreaterThanOrEqual(size)
    expect(await replicaOf(world, 'US', AU.id)).toMatchObject({ state: 'COPYING' })
    await rowsOf(
      world,
      'US',
      `update replica.event set content_blob = set_byte(content_blob, 40, (get_byte(content_blob, 40) + 1) % 256)
       where workspace_id = $1 and sequence = 7`,
      [AU.id],
    )
    await tendReplicas(world.app.replication, 'US', never)
    expect(await replicaOf(world, 'US', AU.id)).toMatchObject({ state: 'STOPPED', stopped_reason: 'ROWS_MISMATCH' })
    expect(world.app.replication.alarms.counts.get('ROWS_MISMATCH')).toBe(1)
    // Nothing more comes to it, and the company sees that; its other chains go on.
    await world.record(AU, events(2))
    await world.record(APAC, events(2))
    await copied(world, 'US', APAC.id, 5)
    expect((await replicaOf(world, 'US', AU.id))!.sequence).toBe(size)
    await eventually('it is shown', async () => (await replicaRegions())[0]?.stoppedReplicas === 1)

    const answer = await resync(AU.gid, 'US')
    expect(answer.errors).toBeUndefined()
    await copied(world, 'US', AU.id, size + 2)
    expect(await storedIn('US', 'replica.event', AU.id)).toEqual(await storedIn('AU', 'event', AU.id))
    await eventually('it is no longer shown', async () => (await replicaRegions())[0]?.stoppedReplicas === 0)
    const log = await staff.gql(`{ adminLog(companyId: "${world.acme.gid}", first: 5) { nodes { action } } }`)
    expect(log.data.adminLog.nodes.map((one: { action: string }) => one.action)).toContain('replica.resync_begun')
  })

  const faults: [string, string, string][] = [
    ['a missing row', 'delete from replica.event where workspace_id = $1 and sequence = 4', 'ROWS_MISMATCH'],
    [
      'another tag',
      `update replica.event set actor_id_tag = '\\x00112233445566778899aabbccddeeff' where workspace_id = $1 and sequence = 4`,
      'ROWS_MISMATCH',
    ],
    ['another head', `update replica.chain_head set hash = sha256('x') where workspace_id = $1`, 'CHAIN_MISMATCH'],
    [
      'a head ahead of home',
      `update replica.chain_head set sequence = sequence + 100 where workspace_id = $1`,
      'HOME_BEHIND',
    ],
    [
      'an event that home never had',
      `insert into replica.event (workspace_id, sequence, id, company_id, term, body, prev_hash, hash, occurred_at, received_at, action, category)
      select workspace_id, sequence + 1, gen_random_uuid(), company_id, term, body, prev_hash, hash, occurred_at, received_at, action, category
      from replica.event where workspace_id = $1 order by sequence desc limit 1`,
      'ROWS_MISMATCH',
    ],
  ]
  it.each(faults)('finds %s', async (_, sql, reason) => {
    const { AU } = world.acme.in
    await setReplicas(staff, world.acme, ['US'])
    await copied(world, 'US', AU.id, await sequenceOf(AU.id))
    await rowsOf(world, 'US', sql, [AU.id])
    if (sql.includes('replica.event')) await tendReplicas(world.app.replication, 'US', never)
    await world.record(AU, events(1))
    await eventually('it is stopped', async () => (await replicaOf(world, 'US', AU.id))?.state === 'STOPPED')
    expect(await replicaOf(world, 'US', AU.id)).toMatchObject({ stopped_reason: reason })
  })

  it('takes nothing from a home that was tampered with', async () => {
    const { EU } = world.acme.in
    await world.record(EU, events(5))
    const rewrite = (from: string, to: string) =>
      rowsOf(
        world,
        'EU',
        `alter table event disable trigger append_only;
         update event set body = convert_to(replace(convert_from(body, 'UTF8'), '${from}', '${to}'), 'UTF8')
         where workspace_id = '${EU.id}' and sequence = 3;
         alter table event enable always trigger append_only`,
      )
    await rewrite('doc.read', 'doc.lost')
    await setReplicas(staff, world.acme, ['US'])
    await eventually('it is stopped', async () => (await replicaOf(world, 'US', EU.id))?.state === 'STOPPED')
    expect(await replicaOf(world, 'US', EU.id)).toMatchObject({ stopped_reason: 'CHAIN_MISMATCH', sequence: 0 })
    expect(await countRows(world, 'US', 'replica.event', [EU.id])).toBe(0)
    await rewrite('doc.lost', 'doc.read')
    await resync(EU.gid, 'US')
    await copied(world, 'US', EU.id, 5)
  })
})

describe('the tables of replicas', () => {
  it('show a transaction the companies it names, and let nobody change an event', async () => {
    const { AU } = world.acme.in
    await setReplicas(staff, world.acme, ['US'])
    await copied(world, 'US', AU.id, await sequenceOf(AU.id))
    const client = new Client({ connectionString: world.databases.regions.US.databaseUrl })
    await client.connect()
    try {
      const seen = async (company: string | null): Promise<number[]> => {
        await client.query('begin')
        if (company !== null) await client.query(`set local app.companies = '${company}'`)
        const counts: number[] = []
        for (const table of ['event', 'chain_head', 'merkle_node', 'checkpoint'])
          counts.push(Number((await client.query(`select count(*) as n from replica.${table}`)).rows[0].n))
        await client.query('rollback')
        return counts
      }
      expect(await seen(null)).toEqual([0, 0, 0, 0])
      expect(await seen(world.globex.id)).toEqual([0, 0, 0, 0])
      const own = await seen(world.acme.id)
      expect(own[0]).toBe((await sequenceOf(AU.id)) + (await othersIn('US', AU.id)))
      for (const sql of [
        'update replica.event set action = action',
        'update replica.tombstone set sequence = sequence',
        'truncate replica.event',
        'alter table replica.event disable row level security',
      ])
        await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' })
      await client.query('begin')
      await client.query(`set local app.companies = '${world.globex.id}'`)
      await expect(
        client.query(`insert into replica.chain_head (workspace_id, company_id, home_region) values ($1, $2, 'AU')`, [
          randomUUID(),
          world.acme.id,
        ]),
      ).rejects.toMatchObject({ code: '42501' })
      await client.query('rollback')
    } finally {
      await client.end()
    }
  })
})

/** How many events of other chains of Acme a region has copies of. */
async function othersIn(region: Region, workspaceId: string): Promise<number> {
  const [row] = await rowsOf<{ n: number }>(
    world,
    region,
    'select count(*)::int n from replica.event where workspace_id <> $1',
    [workspaceId],
  )
  return row!.n
}
