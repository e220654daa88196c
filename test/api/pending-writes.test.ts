import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { PendingQueue } from '../../src/failover/pending-queue.js'
import { deadlineAfter } from '../../src/kernel/deadline.js'
import { asPerson, outcome } from '../harness/actors.js'
import { verifiedChain } from '../harness/chain.js'
import { needlesOf, NeedleSet } from '../harness/disk-scan.js'
import { eventually } from '../harness/eventually.js'
import {
  actionsOf,
  createOutageWorld,
  heal,
  ingestAt,
  ingestManyAt,
  type OutageWorld,
  taken,
  takeEach,
} from '../harness/outage.js'
import { verdictOf } from '../harness/verification.js'

let world: OutageWorld
/** Stops a drain after this step, once, as the death of its process would. */
let dieAfter: string | null = null
beforeAll(async () => {
  world = await createOutageWorld({
    failover: {
      queueLimits: { regionEventsMax: 400, companyEventsMax: 400 },
      onDrainStep: (step) => {
        if (step !== dieAfter) return
        dieAfter = null
        throw new Error('died')
      },
    },
  })
})
afterEach(() => heal(world))
afterAll(() => world.close())

const event = (action: string, more: Record<string, unknown> = {}) => ({ action, category: 'c', ...more })
const ingest = (input: Record<string, unknown>, key = world.acme.in.EU.key) => ingestAt(world.url, key, input)
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const chain = () => verifiedChain(world.app.registry.get('EU').database, world.acme.in.EU)
const eventById = (id: string) => world.gql(world.acme.key, `{ event(id: "${id}") { id action sequence receivedAt } }`)

async function asSuperuser<T>(database: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: world.databases.superuserUrl(database) })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Every table of the control database, as COPY writes it. */
const controlTables = (): Promise<Buffer> =>
  asSuperuser(world.databases.control.name, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      "select table_name as name from information_schema.tables where table_schema = 'public'",
    )
    const texts: string[] = []
    for (const { name } of rows) {
      const { rows: lines } = await client.query<{ line: string }>(`select t::text as line from ${name} t`)
      texts.push(...lines.map(({ line }) => line))
    }
    return Buffer.from(texts.join('\n'))
  })

const pendingKeyFiles = async (): Promise<string[]> =>
  (await readdir(join(world.keyVaultDir, 'eu'))).filter((name) => name.startsWith('pending-'))

describe('a region that is down', () => {
  it.each(['refuse', 'hang'] as const)('(%s) has its events queued, brought home when it is back', async (how) => {
    const { EU } = world.acme.in
    const before = (await chain()).length
    await world.eu.set(how)
    const actor = { id: `u-${how}`, email: 'ada@example.com', name: 'Ada' }
    const answer = await ingest(event(`queued.${how}`, { actor, payload: { n: 1 } }))
    expect(answer.data.ingestEvent).toMatchObject({
      receipt: { status: 'QUEUED', replayed: false, sequence: null, hash: null },
      event: null,
    })
    const { eventId } = answer.data.ingestEvent.receipt
    expect(outcome(await eventById(eventId))).toBe('REGION_UNAVAILABLE')
    const acceptedBy = new Date()
    const page = await world.gql(
      world.acme.key,
      '{ globalEvents { complete regions { region status pendingWrites } } }',
    )
    expect(page.data.globalEvents.complete).toBe(false)
    expect(page.data.globalEvents.regions).toContainEqual({ region: 'EU', status: 'UNAVAILABLE', pendingWrites: true })
    expect(page.data.globalEvents.regions).toContainEqual({ region: 'US', status: 'OK', pendingWrites: false })
    await heal(world)
    const { data } = await world.gql(
      world.acme.key,
      `{ event(id: "${eventId}") { sequence receivedAt actor { id email name } payload } }`,
    )
    expect(data.event).toMatchObject({ sequence: before + 1, actor, payload: { n: 1 } })
    expect(new Date(data.event.receivedAt).getTime()).toBeLessThanOrEqual(acceptedBy.getTime())
    expect(await chain()).toHaveLength(before + 1)
    expect(await verdictOf(world, EU)).toMatchObject({ ok: true })
    await eventually('the index to know it', async () => {
      const listed = await world.gql(EU.key, '{ workspaceEvents { totalCount } }')
      return listed.data.workspaceEvents.totalCount === before + 1
    })
    expect((await taken(ingest(event('after')))).status).toBe('RECORDED')
  })

  it('answers again before everything is home, and says that something is missing until it is', async () => {
    const { EU } = world.acme.in
    await world.eu.set('refuse')
    await taken(ingest(event('late')))
    const report = async () => {
      const { data } = await world.gql(
        world.acme.key,
        '{ globalEvents(regions: [EU]) { complete nodes { action } regions { status pendingWrites } } }',
      )
      const { complete, nodes, regions } = data.globalEvents
      return { complete, isThere: nodes[0]?.action === 'late', ...regions[0] }
    }
    await asSuperuser(world.databases.control.name, async (client) => {
      // Nothing can be taken out of the queue.
      await client.query('begin')
      await client.query('lock table pending_write in exclusive mode')
      await world.eu.set('pass')
      await eventually('the EU answers', async () => (await report()).status === 'OK')
      expect(await report()).toMatchObject({ complete: false, status: 'OK', pendingWrites: true })
      await client.query('rollback')
    })
    await heal(world)
    expect(await report()).toEqual({ complete: true, isThere: true, status: 'OK', pendingWrites: false })
    expect(await verdictOf(world, EU)).toMatchObject({ ok: true })
  })

  it('keeps the order of each workspace, single events and batches alike, and doubles nothing with two processes', async () => {
    const other = await world.another()
    const before = (await actionsOf(world, world.acme.in.EU)).length
    await world.eu.set('refuse')
    const expected: string[] = []
    const statuses: string[] = []
    for (const n of numbers(12)) {
      const { url } = n % 2 === 0 ? world : other
      const names = n % 3 === 0 ? numbers(9).map((m) => `order.${n}.${m}`) : [`order.${n}`]
      const { data } = await ingestManyAt(
        url,
        world.acme.in.EU.key,
        names.map((name) => event(name)),
      )
      statuses.push(...data.ingestEvents.receipts.map((one: { status: string }) => one.status))
      expected.push(...names)
    }
    expect(statuses).toEqual(expected.map(() => 'QUEUED'))
    await heal(world)
    expect((await actionsOf(world, world.acme.in.EU)).slice(before)).toEqual(expected)
    await chain()
    await other.app.close()
  })

  it('does not stop the others, and takes what it accepted for a workspace that is archived meanwhile', async () => {
    const { US, EU } = world.globex.in
    await world.eu.set('refuse')
    expect((await taken(ingest(event('us'), US.key))).status).toBe('RECORDED')
    const { eventId } = await taken(ingest(event('archived'), EU.key))
    await world.app.control.query("update workspace set status = 'ARCHIVED' where id = $1", [EU.id])
    await heal(world)
    const found = await world.gql(world.globex.key, `{ event(id: "${eventId}") { action } }`)
    expect(found.data.event).toEqual({ action: 'archived' })
  })

  it('is REGION_UNAVAILABLE when control is down as well, and nothing is kept', async () => {
    const before = await actionsOf(world, world.acme.in.EU)
    await world.eu.set('refuse')
    await world.controlProxy.set('refuse')
    for (const input of [event('lost'), event('lost', { idempotencyKey: 'lost' })])
      expect(outcome(await ingest(input))).toBe('REGION_UNAVAILABLE')
    await world.controlProxy.set('pass')
    await eventually('control to answer', async () => (await world.pending()) === 0)
    await heal(world)
    expect(await actionsOf(world, world.acme.in.EU)).toEqual(before)
  })

  it('takes no more than fits (RATE_LIMITED), a batch whole or not at all', async () => {
    await world.eu.set('refuse')
    const batch = numbers(300).map(() => event('many'))
    expect((await ingestManyAt(world.url, world.acme.in.EU.key, batch)).errors).toBeUndefined()
    const refused = await ingestManyAt(world.url, world.acme.in.EU.key, batch)
    expect(outcome(refused)).toBe('RATE_LIMITED')
    expect(refused.errors![0]!.extensions.retryAfterMs).toBeGreaterThan(0)
    expect(await world.pending()).toBe(300)
  })
})

describe('an idempotency key', () => {
  it('that comes twice while it is queued is answered with the first id; other content is IDEMPOTENCY_CONFLICT, alone', async () => {
    await world.eu.set('refuse')
    const first = await taken(ingest(event('once', { idempotencyKey: 'twice' })))
    expect(await taken(ingest(event('once', { idempotencyKey: 'twice' })))).toEqual({ ...first, replayed: true })
    const before = await world.pending()
    const batch = [event('with'), event('other', { idempotencyKey: 'twice' })]
    const refused = await ingestManyAt(world.url, world.acme.in.EU.key, batch)
    expect(outcome(refused)).toBe('IDEMPOTENCY_CONFLICT')
    expect(refused.errors![0]!.extensions.field).toContain('events[1]')
    expect(await world.pending()).toBe(before)
    await heal(world)
    expect(await taken(ingest(event('once', { idempotencyKey: 'twice' })))).toMatchObject({
      eventId: first.eventId,
      status: 'RECORDED',
      replayed: true,
    })
  })

  it('that stands for the same at home makes the queued id an alias, for ever; for other content a dead letter', async () => {
    const first = await taken(ingest(event('first', { idempotencyKey: 'alias' })))
    await world.eu.set('refuse')
    const repeat = await taken(ingest(event('first', { idempotencyKey: 'alias' })))
    expect(repeat.status).toBe('QUEUED')
    expect(repeat.eventId).not.toBe(first.eventId)
    const key = await taken(ingest(event('home', { idempotencyKey: 'conflict' }), world.globex.in.US.key))
    expect(key.status).toBe('RECORDED')
    await heal(world)
    const { data } = await eventById(repeat.eventId)
    expect(data.event).toMatchObject({ id: first.eventId, sequence: first.sequence })
    const proof = await world.gql(world.acme.key, `{ inclusionProof(eventId: "${repeat.eventId}") { leafIndex } }`)
    expect(proof.data.inclusionProof.leafIndex).toBe(first.sequence! - 1)
    expect((await world.gql(world.acme.key, `{ node(id: "${repeat.eventId}") { id } }`)).data.node.id).toBe(
      first.eventId,
    )

    const staff = await asPerson(world, { staffRole: 'SUPPORT_ADMIN' })
    await taken(ingest(event('kept', { idempotencyKey: 'taken' })))
    await world.eu.set('refuse')
    const other = await taken(ingest(event('other', { idempotencyKey: 'taken', actor: { email: 'dead@example.com' } })))
    await heal(world)
    const letters = `{ deadLetters(region: EU) { totalCount nodes { eventId workspaceId reason attempts } } }`
    const listed = await staff.gql(letters)
    expect(listed.data.deadLetters.nodes).toContainEqual({
      eventId: other.eventId,
      workspaceId: world.acme.in.EU.gid,
      reason: 'IDEMPOTENCY_CONFLICT',
      attempts: 3,
    })
    expect(JSON.stringify(listed)).not.toContain('dead@example.com')
    const chief = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
    const log = await chief.gql(`{ adminLog(companyId: "${world.acme.gid}") { nodes { action actorId payload } } }`)
    expect(log.data.adminLog.nodes).toContainEqual({
      action: 'staff.read',
      actorId: staff.gid,
      payload: { operation: 'deadLetters', staffRole: 'SUPPORT_ADMIN' },
    })
    expect((await eventById(other.eventId)).data.event).toBeNull()
    await chain()
  })
})

describe('the key of what was queued', () => {
  it('is destroyed when nothing is under it any more, and not made again for who has not heard of it', async () => {
    await world.eu.set('refuse')
    await taken(ingest(event('sealed')))
    const mode = world.app.modes.of('EU')!
    // A dead letter of another test may keep its own.
    const isThere = async () => (await pendingKeyFiles()).includes(`pending-${mode.pendingKey!}.key`)
    expect(await isThere()).toBe(true)
    await heal(world)
    await eventually('the key to be gone', async () => !(await isThere()))
    const { control, modes, clock, erasure } = world.app
    const queue = new PendingQueue({ control, modes, clock, vault: erasure.vault })
    expect(await queue.insert(mode, [], deadlineAfter(5_000))).toBeNull()
    expect(await isThere()).toBe(false)
  })
})

describe('draining', () => {
  it.each(['drain.claimed', 'drain.committed', 'drain.deleted'])(
    'that dies after %s is done again, and doubles nothing',
    async (step) => {
      const before = (await actionsOf(world, world.acme.in.EU)).length
      await world.eu.set('refuse')
      await takeEach(
        world,
        world.acme.in.EU,
        numbers(5).map((n) => event(`again.${n}`)),
      )
      dieAfter = step
      await heal(world)
      expect(dieAfter).toBeNull()
      expect((await actionsOf(world, world.acme.in.EU)).slice(before)).toEqual(numbers(5).map((n) => `again.${n}`))
      await chain()
    },
  )

  it('sets aside what the region refuses, which stands in nobody’s way, and records it when somebody has it tried again', async () => {
    const refusing = `
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
      create trigger refuse before insert on event for each row when (new.action = 'refused') execute function refuse()`
    const home = world.databases.regions.EU.name
    await asSuperuser(home, (client) => client.query(refusing))
    await world.eu.set('refuse')
    const [, poison] = await takeEach(world, world.acme.in.EU, [event('fine.1'), event('refused'), event('fine.2')])
    await heal(world)
    expect((await actionsOf(world, world.acme.in.EU)).slice(-2)).toEqual(['fine.1', 'fine.2'])
    const staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
    const retry = () =>
      staff.gql(
        'mutation ($input: RetryDeadLetterInput!) { retryDeadLetter(input: $input) { recorded deadLetter { reason attempts } } }',
        { input: { eventId: poison!.eventId } },
      )
    expect((await retry()).data.retryDeadLetter).toEqual({
      recorded: false,
      deadLetter: { reason: 'REFUSED', attempts: 4 },
    })
    await asSuperuser(home, (client) => client.query('drop trigger refuse on event; drop function refuse()'))
    expect((await retry()).data.retryDeadLetter).toEqual({ recorded: true, deadLetter: null })
    expect((await eventById(poison!.eventId)).data.event.action).toBe('refused')
    expect(outcome(await retry())).toBe('NOT_FOUND')
    await chain()
  })
})

describe('what control keeps of the queue', () => {
  it('is nothing personal in clear, and unreadable once it is drained: its key is gone', async () => {
    const secret = { id: 'Secret-Person-77', email: 'secret.person@example.com', name: 'Sécret Pérson' }
    const needles = new NeedleSet(Object.entries(secret).flatMap(([name, text]) => needlesOf(name, text)))
    await world.eu.set('refuse')
    await taken(
      ingest(
        event('sealed', {
          actor: secret,
          target: { id: secret.id, type: 'person' },
          payload: { about: secret.email },
          metadata: { name: secret.name },
          changes: [{ field: 'email', old: secret.email, new: secret.name }],
          traceId: secret.id,
          idempotencyKey: 'sealed',
        }),
      ),
    )
    const [row] = await world.app.control.query<{ body: Buffer; pending_key: string }>(
      'select body, pending_key from pending_write',
    )
    expect(needles.placesIn(await controlTables()).size).toBe(0)
    expect(needles.placesIn(row!.body).size).toBe(0)
    // The needles are found where they are.
    expect(needles.placesIn(Buffer.from(JSON.stringify(secret))).size).toBeGreaterThan(0)
    expect(await pendingKeyFiles()).toContain(`pending-${row!.pending_key}.key`)
    await heal(world)
    await eventually(
      'its key to be destroyed',
      async () => !(await pendingKeyFiles()).includes(`pending-${row!.pending_key}.key`),
    )
    const keys = await world.app.control.query('select id from pending_key where id = $1', [row!.pending_key])
    expect(keys).toEqual([])
  })
})
