import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiKeyHmac } from '../../src/auth/api-key.js'
import { getConsistencyProof } from '../../src/checkpoints/get-consistency-proof.js'
import { getInclusionProof } from '../../src/checkpoints/get-inclusion-proof.js'
import { newestKnownCheckpoints } from '../../src/checkpoints/newest-known-checkpoints.js'
import type { DirectTransaction } from '../../src/db/database.js'
import { deriveCursorKey } from '../../src/kernel/cursor.js'
import { CompactRange } from '../../src/ledger/compact-range.js'
import { verifyConsistency, verifyInclusion } from '../../src/ledger/proof-verification.js'
import { RegionGateway } from '../../src/regions/region-gateway.js'
import { createWorld, pepper, sendGraphql, type World, type WorldWorkspace } from '../harness/app.js'
import { verifiedChain } from '../harness/chain.js'
import {
  bytes,
  checkpointAt,
  checkpointOf,
  copied,
  databaseOf,
  events,
  listening,
  ownerRows,
  signerIn,
} from '../harness/checkpoints.js'

const sizes = [1, 2, 3, 100, 255, 256, 257, 300, 511, 512, 513, 599, 600]

describe('a chain of 600 events', () => {
  let world: World
  let chain: WorldWorkspace
  let ids: string[]
  let leaves: Buffer[]
  const rootAt = new Map<number, Buffer>([[0, CompactRange.empty().root()]])
  beforeAll(async () => {
    world = await createWorld()
    chain = world.acme.in.EU
    ids = await world.record(chain, events(600))
    leaves = (await verifiedChain(world.app.registry.get('EU').database, chain)).map(({ hash }) => hash)
    const range = CompactRange.empty()
    for (const [index, leaf] of leaves.entries()) {
      range.append(leaf)
      rootAt.set(index + 1, range.root())
    }
  })
  afterAll(() => world.close())

  it('is signed within a second, by the key that is published', async () => {
    const checkpoint = await checkpointAt(world, chain, 600, 1000)
    expect(checkpoint.rootHash).toBe(rootAt.get(600)!.toString('hex'))
    await signerIn(world.url, checkpoint, chain)
    expect(Math.abs(Date.parse(checkpoint.signedAt) - Date.now())).toBeLessThan(60_000)
    const [another] = await world.record(world.acme.in.US, events(1))
    expect(another).toBeDefined()
    const second = await checkpointAt(world, world.acme.in.US, 1, 1000)
    expect(await signerIn(world.url, second, world.acme.in.US)).not.toBe(await signerIn(world.url, checkpoint, chain))
  })

  it('proves the inclusion of each event at each size, and of no other event', async () => {
    for (const treeSize of sizes) {
      const wanted = ids
        .slice(0, treeSize)
        .filter(
          (_, index) =>
            treeSize <= 3 ||
            index % 37 === 0 ||
            index >= treeSize - 2 ||
            [254, 255, 256, 257, 511, 512].includes(index),
        )
      const aliases = wanted.map(
        (id, n) =>
          `p${n}: inclusionProof(eventId: "${id}", treeSize: ${treeSize}) { leafIndex treeSize leafHash hashes }`,
      )
      for (let at = 0; at < aliases.length; at += 10) {
        const { data, errors } = await world.gql(chain.key, `{ ${aliases.slice(at, at + 10).join('\n')} }`)
        expect(errors).toBeUndefined()
        for (const [name, proof] of Object.entries<{
          leafIndex: number
          treeSize: number
          leafHash: string
          hashes: string[]
        }>(data)) {
          const index = ids.indexOf(wanted[Number(name.slice(1))]!)
          expect(proof).toMatchObject({ leafIndex: index, treeSize, leafHash: leaves[index]!.toString('hex') })
          const claim = { leafIndex: index, treeSize, rootHash: rootAt.get(treeSize)!, hashes: proof.hashes.map(bytes) }
          expect(verifyInclusion({ ...claim, leafHash: leaves[index]! })).toBe(true)
          const other = leaves[(index + 1) % leaves.length]!
          expect(verifyInclusion({ ...claim, leafHash: other })).toBe(false)
          expect(verifyInclusion({ ...claim, leafHash: leaves[index]!, rootHash: rootAt.get(treeSize - 1)! })).toBe(
            false,
          )
        }
      }
    }
  })

  it('proves inclusion in the newest checkpoint where no size is named', async () => {
    await checkpointAt(world, chain, 600)
    const { data } = await world.gql(
      chain.key,
      'query ($id: ID!) { inclusionProof(eventId: $id) { leafIndex treeSize leafHash hashes checkpoint { treeSize rootHash note signedAt } } }',
      { id: ids[299] },
    )
    const { checkpoint, ...proof } = data.inclusionProof
    await signerIn(world.url, checkpoint, chain)
    expect(proof.treeSize).toBe(checkpoint.treeSize)
    expect(
      verifyInclusion({
        leafIndex: 299,
        treeSize: proof.treeSize,
        leafHash: leaves[299]!,
        rootHash: bytes(checkpoint.rootHash),
        hashes: proof.hashes.map(bytes),
      }),
    ).toBe(true)
  })

  it('proves that each size continues each earlier one', async () => {
    const pairs = sizes.flatMap((from) => sizes.filter((to) => to >= from).map((to) => ({ from, to })))
    pairs.push({ from: 0, to: 0 }, { from: 0, to: 600 })
    for (let at = 0; at < pairs.length; at += 10) {
      const some = pairs.slice(at, at + 10)
      const aliases = some.map(
        ({ from, to }, n) =>
          `p${n}: consistencyProof(workspaceId: "${chain.gid}", fromTreeSize: ${from}, toTreeSize: ${to}) { fromTreeSize toTreeSize hashes }`,
      )
      const { data, errors } = await world.gql(chain.key, `{ ${aliases.join('\n')} }`)
      expect(errors).toBeUndefined()
      for (const [n, { from, to }] of some.entries()) {
        const proof = data[`p${n}`]
        expect(proof).toMatchObject({ fromTreeSize: from, toTreeSize: to })
        const claim = {
          fromSize: from,
          toSize: to,
          fromRoot: rootAt.get(from)!,
          toRoot: rootAt.get(to)!,
          hashes: proof.hashes.map(bytes),
        }
        expect(verifyConsistency(claim)).toBe(true)
        const wrong = rootAt.get(from <= 1 ? 2 : from - 1)!
        expect(verifyConsistency({ ...claim, fromRoot: wrong })).toBe(false)
      }
    }
  })

  it('refuses sizes that the tree has not had', async () => {
    const inclusion = (eventId: string, treeSize: number) =>
      world.gql(
        chain.key,
        'query ($id: ID!, $size: SafeInt) { inclusionProof(eventId: $id, treeSize: $size) { treeSize } }',
        { id: eventId, size: treeSize },
      )
    for (const size of [601, 300, 0, -1]) {
      const { errors } = await inclusion(ids[300]!, size)
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'treeSize' })
    }
    expect((await inclusion(ids[300]!, 301)).data.inclusionProof.treeSize).toBe(301)
    for (const [from, to, field] of [
      [-1, 5, 'fromTreeSize'],
      [5, 4, 'toTreeSize'],
      [1, 601, 'toTreeSize'],
    ] as const) {
      const { errors } = await world.gql(
        chain.key,
        'query ($id: ID!, $from: SafeInt!, $to: SafeInt!) { consistencyProof(workspaceId: $id, fromTreeSize: $from, toTreeSize: $to) { hashes } }',
        { id: chain.gid, from, to },
      )
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field })
    }
  })

  it('is nothing to other tenants, nor to a key of another workspace', async () => {
    const query = `query ($ws: ID!, $event: ID!) {
      checkpoint(workspaceId: $ws) { treeSize }
      inclusionProof(eventId: $event) { treeSize }
      consistencyProof(workspaceId: $ws, fromTreeSize: 1, toTreeSize: 2) { hashes }
    }`
    const nothing = { checkpoint: null, inclusionProof: null, consistencyProof: null }
    for (const key of [world.globex.key, world.globex.in.EU.key, world.acme.in.US.key]) {
      const { data, errors } = await world.gql(key, query, { ws: chain.gid, event: ids[0] })
      expect(errors).toBeUndefined()
      expect(data).toEqual(nothing)
    }
    const { data } = await world.gql(world.acme.key, query, { ws: chain.gid, event: ids[0] })
    expect(data.checkpoint.treeSize).toBe(600)
    const anonymous = await world.gql(null, query, { ws: chain.gid, event: ids[0] })
    expect(anonymous.errors?.map(({ extensions }) => extensions.code)).toEqual(Array(3).fill('UNAUTHENTICATED'))
    const malformed = await world.gql(chain.key, query, { ws: ids[0], event: chain.gid })
    expect(malformed.errors?.map(({ extensions }) => extensions.code)).toEqual(Array(3).fill('BAD_USER_INPUT'))
  })

  it('is null before the first event', async () => {
    expect(await checkpointOf(world, world.globex.in.APAC)).toBeNull()
  })

  it('is proven with a fixed number of statements and few nodes', async () => {
    const { app } = world
    const gateway = new RegionGateway(app.registry, app.facts)
    const counts = { statements: 0, nodeBytes: 0 }
    const counting = (tx: DirectTransaction): DirectTransaction => ({
      lastTexts(sql, values, name) {
        counts.statements++
        return tx.lastTexts(sql, values, name)
      },
      async query<Row extends object>(sql: string, values?: readonly unknown[], name?: string) {
        counts.statements++
        const rows = await tx.query<Row>(sql, values, name)
        for (const row of rows)
          if ('hashes' in row && Buffer.isBuffer(row.hashes)) counts.nodeBytes += row.hashes.length
        return rows
      },
    })
    const reads = {
      ...app,
      gateway: {
        read: (region, companies, deadline, read) =>
          gateway.read(region, companies, deadline, (tx, from, servedBy) => read(counting(tx), from, servedBy)),
      } as RegionGateway,
      archives: app.archive.reader,
      cursorKey: deriveCursorKey(pepper),
      regionDeadlineMs: 5000,
      report: () => undefined,
    }
    const key = await app.facts.apiKey(apiKeyHmac(pepper, chain.key))
    const viewer = { kind: 'apiKey', key: key! } as const
    for (const [index, treeSize] of [
      [0, 3],
      [0, 600],
      [100, 590],
      [299, 511],
      [599, 600],
    ] as const) {
      Object.assign(counts, { statements: 0, nodeBytes: 0 })
      const proof = await getInclusionProof(reads, viewer, { eventId: ids[index]!, treeSize })
      expect(proof).toMatchObject({ leafIndex: index, treeSize })
      expect(counts.statements).toBe(4)
      expect(counts.nodeBytes).toBeLessThan(32 * 2 * 256)
      Object.assign(counts, { statements: 0, nodeBytes: 0 })
      await getConsistencyProof(reads, viewer, {
        workspaceId: chain.gid,
        fromTreeSize: index + 1,
        toTreeSize: treeSize + index < 600 ? treeSize + index : 600,
      })
      expect(counts.statements).toBeLessThanOrEqual(2)
      expect(counts.nodeBytes).toBeLessThan(32 * 2 * 256)
    }
  })

  it('has copies in control and in one other region, which continue with it', async () => {
    await checkpointAt(world, chain, 600)
    const { control, abroad } = await copied(world, chain, 600)
    const checkpoint = await checkpointOf(world, chain)
    expect(control).toEqual([{ tree_size: '600', note: checkpoint!.note, home_region: 'EU' }])
    expect(abroad).toEqual([{ region: 'APAC', tree_size: '600', note: checkpoint!.note }])
    const known = await newestKnownCheckpoints(world.app, chain)
    expect(known.unreachable).toEqual([])
    expect([known.home, known.control, known.foreign[0]!.copy].map((one) => one?.note)).toEqual(
      Array(3).fill(checkpoint!.note),
    )
  })

  it('takes no earlier checkpoint, and no other of the same size, from the service itself', async () => {
    const client = new Client({ connectionString: world.databases.regions.EU.databaseUrl })
    await client.connect()
    await client.query(`select set_config('app.companies', $1, false)`, [chain.companyId])
    for (const attack of [
      `update checkpoint set tree_size = 5 where workspace_id = '${chain.id}'`,
      `update checkpoint set root_hash = decode(repeat('00', 32), 'hex') where workspace_id = '${chain.id}'`,
      `update checkpoint set note = 'x' where workspace_id = '${chain.id}'`,
      `delete from checkpoint where workspace_id = '${chain.id}'`,
      `truncate checkpoint`,
      `update checkpoint_history set note = 'x'`,
      `delete from checkpoint_history`,
    ])
      await expect(client.query(attack), attack).rejects.toThrow(/only moves forward|append-only|permission denied/)
    await client.query(`select set_config('app.companies', $1, false)`, [world.globex.id])
    expect((await client.query('select * from checkpoint')).rows).toEqual([])
    await client.query(`select set_config('app.companies', '', false)`)
    expect((await client.query('select * from checkpoint')).rows).toEqual([])
    await client.end()
  })
})

describe('several processes', () => {
  it('sign one history, and finish what another left', async () => {
    const { log, alarms } = listening()
    const world = await createWorld({ log, checkpointSweepMs: 500 })
    const second = await world.another()
    try {
      const chain = world.acme.in.US
      const ingest = 'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId } } }'
      await Promise.all(
        Array.from({ length: 60 }, (_, n) =>
          sendGraphql(n % 2 === 0 ? world.url : second.url, chain.key, ingest, { input: { events: events(5) } }),
        ),
      )
      const checkpoint = await checkpointAt(world, chain, 300)
      await signerIn(second.url, checkpoint, chain)
      await copied(world, chain, 300)
      // A commit that nobody signed, as after a crash: the sweep finds it.
      world.app.checkpointer.nudge = () => undefined
      second.app.checkpointer.nudge = () => undefined
      await second.app.checkpointer.stop()
      await world.app.checkpointer.stop()
      await world.record(chain, events(3))
      expect((await checkpointOf(world, chain))!.treeSize).toBe(300)
      const third = await world.another()
      await checkpointAt(world, chain, 303)
      await third.app.close()
      expect(alarms).toEqual([])
      const history = await ownerRows<{ tree_size: string }>(
        world,
        databaseOf(world, 'US'),
        `select tree_size from checkpoint_history where workspace_id = '${chain.id}'`,
      )
      expect(history.length).toBeLessThanOrEqual(2)
    } finally {
      await second.app.close()
      await world.close()
    }
  })

  it('signs a busy chain at most four times a second', async () => {
    const world = await createWorld()
    try {
      const chain = world.acme.in.US
      const seen = new Set<number>()
      const started = Date.now()
      let count = 0
      while (Date.now() - started < 1500) {
        await world.record(chain, events(1))
        count++
        const checkpoint = await checkpointOf(world, chain)
        if (checkpoint !== null) seen.add(checkpoint.treeSize)
      }
      expect(count).toBeGreaterThan(15)
      expect(seen.size).toBeGreaterThan(2)
      expect(seen.size).toBeLessThanOrEqual(7)
      await checkpointAt(world, chain, count)
    } finally {
      await world.close()
    }
  })
})
