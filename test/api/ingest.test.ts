import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nobody } from '../../src/auth/viewer.js'
import type { IngestInput } from '../../src/events/ingest-input.js'
import { ingestEvents } from '../../src/events/ingest-events.js'
import type { JsonObject } from '../../src/kernel/canonical-json.js'
import { encodeId, newUuid } from '../../src/kernel/ids.js'
import { openedFields, storedEvents, verifiedChain } from '../harness/chain.js'
import { createWorld, type World } from '../harness/app.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { makeVaultFolder, Recorder, refusalOf, type Tenant } from '../harness/recorder.js'

let databases: ClonedDatabases
let vault: Awaited<ReturnType<typeof makeVaultFolder>>
let recorder: Recorder
let tenant: Tenant

const minimal: IngestInput = { action: 'user.login', category: 'auth' }

beforeAll(async () => {
  databases = await cloneDatabases()
  vault = await makeVaultFolder()
  recorder = await Recorder.on(databases, vault.path)
  tenant = await recorder.tenant()
})
afterAll(async () => {
  await recorder.close()
  await databases.drop()
  await vault.remove()
})

/** Records one event in a fresh chain and reads it back, blobs opened. */
async function recorded(input: IngestInput) {
  const own = await recorder.tenant()
  const receipt = await recorder.one(own.viewer, input)
  const [event] = await verifiedChain(recorder.database('EU'), own.workspace)
  if (event === undefined) throw new Error('nothing was stored')
  const fields = await openedFields(recorder.database('EU'), recorder.subjectKeys, own.workspace, event)
  return { own, receipt, event, fields }
}

describe('who may record', () => {
  test('nobody: UNAUTHENTICATED', async () => {
    expect(await refusalOf(recorder.one(nobody, minimal))).toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  test('a company key: FORBIDDEN', async () => {
    const viewer = await recorder.viewer(tenant.company, null)
    expect(await refusalOf(recorder.one(viewer, minimal))).toMatchObject({ code: 'FORBIDDEN' })
    expect(await refusalOf(recorder.many(viewer, [minimal]))).toMatchObject({ code: 'FORBIDDEN' })
  })

  test('a read-only key: FORBIDDEN, before anything is said of the input', async () => {
    const viewer = await recorder.viewer(tenant.company, tenant.workspace, true)
    expect(await refusalOf(recorder.one(viewer, { action: '', category: '' }))).toMatchObject({ code: 'FORBIDDEN' })
  })

  test('into an archived workspace: WORKSPACE_ARCHIVED', async () => {
    const workspace = await recorder.workspace(tenant.company)
    await recorder.control.query(`update workspace set status = 'ARCHIVED' where id = $1`, [workspace.id])
    const viewer = await recorder.viewer(tenant.company, workspace)
    expect(await refusalOf(recorder.one(viewer, minimal))).toMatchObject({ code: 'WORKSPACE_ARCHIVED' })
    expect(await storedEvents(recorder.database('EU'), workspace)).toEqual([])
  })
})

describe('projects', () => {
  test('one of the workspace is kept with the event', async () => {
    const project = await recorder.project(tenant.workspace)
    const receipt = await recorder.one(tenant.viewer, { ...minimal, projectId: encodeId('project', project.id) })
    const events = await storedEvents(recorder.database('EU'), tenant.workspace)
    expect(events.find((event) => event.id === receipt.eventId)?.project_id).toBe(project.id)
  })

  test('unknown, of another workspace, and of another company: one and the same NOT_FOUND', async () => {
    const sibling = await recorder.project(await recorder.workspace(tenant.company))
    const foreign = await recorder.project((await recorder.tenant()).workspace)
    const refusals = await Promise.all(
      [newUuid(), sibling.id, foreign.id].map((id) =>
        refusalOf(recorder.many(tenant.viewer, [minimal, { ...minimal, projectId: encodeId('project', id) }])),
      ),
    )
    expect(refusals[0]).toMatchObject({ code: 'NOT_FOUND' })
    for (const refusal of refusals) {
      expect(refusal.code).toBe('NOT_FOUND')
      expect(refusal.message).toBe(refusals[0]!.message)
      expect(refusal.details).toEqual(refusals[0]!.details)
    }
  })
})

describe('what is stored', () => {
  const full: IngestInput = {
    action: 'document.share',
    category: 'documents',
    actor: { id: 'u-1', email: 'Ada@Example.com', name: 'Ada Lovelace' },
    target: { id: 'doc-1', type: 'document' },
    payload: { a: [1, { b: null }], 'é.dots.': 'x', '': 0, num: 1e21 },
    metadata: { ip: '203.0.113.9' },
    changes: [{ field: 'title', old: null, new: 'T' }, { field: 'gone', old: 1 }, { field: 'touched' }],
    occurredAt: new Date('0001-01-01T00:00:00.000Z'),
    traceId: 'trace-1',
  }

  test('is all that was sent', async () => {
    const { receipt, event, fields, own } = await recorded(full)
    expect(fields).toEqual({
      actor: full.actor,
      targetId: 'doc-1',
      payload: full.payload,
      metadata: full.metadata,
      changes: full.changes,
      traceId: 'trace-1',
    })
    expect(receipt).toEqual({
      eventId: event.id,
      region: 'EU',
      status: 'RECORDED',
      replayed: false,
      sequence: 1,
      hash: event.hash,
    })
    expect(JSON.parse(event.body.toString())).toEqual({
      v: 1,
      id: event.id,
      action: 'document.share',
      category: 'documents',
      company: own.company.id,
      workspace: own.workspace.id,
      region: 'EU',
      project: null,
      targetType: 'document',
      occurredAt: '0001-01-01T00:00:00.000Z',
      receivedAt: event.received_at.toISOString(),
      digests: expect.any(Array) as unknown,
    })
    expect(event.occurred_at.toISOString()).toBe('0001-01-01T00:00:00.000Z')
  })

  test('is nothing where nothing was sent', async () => {
    const { event, fields } = await recorded(minimal)
    expect(fields).toEqual({ actor: null, targetId: null, payload: {}, metadata: null, changes: null, traceId: null })
    expect(event).toMatchObject({ identity_blob: null, content_blob: null, project_id: null, target_type: null })
    expect((JSON.parse(event.body.toString()) as { digests: unknown[] }).digests).toEqual([])
    expect(event.occurred_at).toEqual(event.received_at)
  })

  test('holds no personal data in clear in any table of the region', async () => {
    await recorded(full)
    const client = new Client({ connectionString: databases.superuserUrl(databases.regions.EU.name) })
    await client.connect()
    const { rows: tables } = await client.query<{ name: string }>(
      `select tablename as name from pg_tables where schemaname = 'public'`,
    )
    expect(tables.length).toBeGreaterThan(4)
    for (const { name } of tables) {
      const { rows } = await client.query<{ text: string }>(`select t::text as text from "${name}" t`)
      const dump = rows.map((row) => row.text.toLowerCase()).join('\n')
      for (const personal of ['ada@example.com', 'lovelace', 'doc-1', 'trace-1', '203.0.113.9']) {
        expect(dump).not.toContain(personal)
        expect(dump).not.toContain(Buffer.from(personal).toString('hex'))
      }
    }
    await client.end()
  })

  test('an own member __proto__ survives and pollutes nobody', async () => {
    const payload = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":2}}}') as JsonObject
    const { fields } = await recorded({
      ...minimal,
      payload,
      changes: [{ field: '__proto__', new: JSON.parse('{"__proto__":3}') as JsonObject }],
    })
    expect(JSON.stringify(fields.payload)).toBe(JSON.stringify(payload))
    expect(JSON.stringify(fields.changes)).toContain('{"__proto__":3}')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('a payload at the limit, with thousands of keys', async () => {
    const payload = Object.fromEntries(Array.from({ length: 6_000 }, (_, n) => [`k${n}`, n % 10]))
    const { fields } = await recorded({ ...minimal, payload })
    expect(fields.payload).toEqual(payload)
  })

  test('is received when the clock says, event by event', async () => {
    const own = await recorder.tenant()
    let at = Date.parse('2025-03-01T00:00:00.000Z')
    const clock = { now: () => new Date((at += 1_000)) }
    await ingestEvents(recorder, own.viewer, [minimal, minimal, minimal], clock)
    const events = await verifiedChain(recorder.database('EU'), own.workspace)
    expect(events.map((event) => event.received_at.toISOString())).toEqual([
      '2025-03-01T00:00:01.000Z',
      '2025-03-01T00:00:02.000Z',
      '2025-03-01T00:00:03.000Z',
    ])
    expect(events.map((event) => event.occurred_at)).toEqual(events.map((event) => event.received_at))
  })
})

describe('all or none', () => {
  test('a thousand events in order', async () => {
    const own = await recorder.tenant('US')
    const inputs = Array.from({ length: 1000 }, (_, n) => ({
      ...minimal,
      actor: { id: `u-${n % 300}` },
      payload: { n },
    }))
    const receipts = await recorder.many(own.viewer, inputs)
    expect(receipts.map((receipt) => receipt.sequence)).toEqual(inputs.map((_, n) => n + 1))
    const events = await verifiedChain(recorder.database('US'), own.workspace)
    for (const n of [0, 499, 999]) {
      const fields = await openedFields(recorder.database('US'), recorder.subjectKeys, own.workspace, events[n]!)
      expect(fields.payload).toEqual({ n })
      expect(events[n]!.id).toBe(receipts[n]!.eventId)
    }
  })

  test('one fault and nothing is recorded', async () => {
    const own = await recorder.tenant()
    const inputs = [minimal, minimal, { ...minimal, actor: { email: 'none' } }]
    const refusal = await refusalOf(recorder.many(own.viewer, inputs))
    expect(refusal).toMatchObject({ code: 'BAD_USER_INPUT', details: { field: 'events[2].actor.email' } })
    expect(await storedEvents(recorder.database('EU'), own.workspace)).toEqual([])
  })
})

describe('over HTTP', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld()
  })
  afterAll(() => world.close())

  const mutation = `mutation ($input: IngestEventInput!) { ingestEvent(input: $input) {
    receipt { eventId status replayed sequence hash }
    event { id action category actor { id email name } target { id type } payload metadata changes { field old new } occurredAt traceId sequence hash } } }`
  const batchMutation =
    'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { sequence } } }'

  /** The text goes out as it is: what a client may write and JSON.stringify would not. */
  async function send(query: string, inputText: string) {
    const response = await fetch(world.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${world.acme.in.EU.key}` },
      body: `{"query":${JSON.stringify(query)},"variables":{"input":${inputText}}}`,
    })
    const answer = (await response.json()) as {
      data?: { ingestEvent?: { receipt: Record<string, unknown>; event: Record<string, unknown> } }
      errors?: { extensions: { code: string; field?: string; faults?: unknown[] } }[]
    }
    return { ...answer, status: response.status }
  }
  const withText = (members: string): string => `{"action":"user.login","category":"auth",${members}}`

  test('an event is answered as it was sent', async () => {
    const input = {
      action: 'document.share',
      category: 'documents',
      actor: { id: 'u-1', email: 'Ada@Example.com', name: 'Ada Lovelace' },
      target: { id: 'doc-1', type: 'document' },
      payload: { a: [1, { b: null }], '': 0 },
      metadata: { ip: '203.0.113.9' },
      changes: [
        { field: 'title', old: null, new: 'T' },
        { field: 'gone', old: 1, new: null },
      ],
      occurredAt: '2026-01-02T03:04:05.678+02:00',
      traceId: 'trace-1',
    }
    const { data, errors } = await send(mutation, JSON.stringify(input))
    expect(errors).toBeUndefined()
    const { receipt, event } = data!.ingestEvent!
    expect(receipt).toMatchObject({ status: 'RECORDED', replayed: false, sequence: 1 })
    expect(receipt['eventId']).toMatch(/^evt_eu_/)
    expect(event).toEqual({
      ...input,
      occurredAt: '2026-01-02T01:04:05.678Z',
      id: receipt['eventId'],
      sequence: 1,
      hash: receipt['hash'],
    })
  })

  test('an own member __proto__ comes back as it went in', async () => {
    const { data, errors } = await send(mutation, withText('"payload":{"__proto__":{"a":1},"b":{"constructor":2}}'))
    expect(errors).toBeUndefined()
    expect(JSON.stringify(data!.ingestEvent!.event['payload'])).toBe('{"__proto__":{"a":1},"b":{"constructor":2}}')
  })

  test.each([
    ['a member twice', '"payload":{"a":1,"a":2}', 'payload.a'],
    ['a member twice, deep inside', '"metadata":{"x":[{"y":{"k":1,"k":1}}]}', 'metadata.x[0].y.k'],
    ['a member twice, once escaped', '"payload":{"a":1,"\\u0061":2}', 'payload.a'],
    ['digits that a double would lose', '"payload":{"n":9007199254740993}', 'payload.n'],
    ['a number too large for a double', '"payload":{"n":1e999}', 'payload.n'],
    ['an unsafe integer that a double could hold', '"payload":{"n":9007199254740992}', 'payload.n'],
    ['an escaped NUL', '"payload":{"n":"\\u0000"}', 'payload.n'],
    ['an escaped lone surrogate', '"actor":{"name":"\\ud83d"}', 'actor.name'],
    ['a wrong address', '"actor":{"email":"ada"}', 'actor.email'],
  ])('refuses %s, naming where', async (_, members, field) => {
    const single = await send(mutation, withText(members))
    expect(single.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field })
    const batch = await send(batchMutation, `{"events":[${withText('"traceId":"t"')},${withText(members)}]}`)
    expect(batch.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: `events[1].${field}` })
  })

  test('names a number that a double would lose once', async () => {
    const { errors } = await send(mutation, withText('"payload":{"n":9007199254740993}'))
    expect(errors?.[0]?.extensions.faults).toEqual([{ field: 'payload.n', message: expect.any(String) }])
  })

  test('names everything that is of a wrong type in one error', async () => {
    const { errors } = await send(
      batchMutation,
      '{"events":[{"action":1,"category":"c"},{"action":"a","category":"c","occurredAt":"soon","more":1}]}',
    )
    expect(errors).toHaveLength(1)
    const { code, field, faults } = errors![0]!.extensions
    expect({ code, field }).toEqual({ code: 'BAD_USER_INPUT', field: 'events[0].action' })
    expect((faults as { field: string }[]).map((fault) => fault.field).toSorted()).toEqual([
      'events[0].action',
      'events[1].more',
      'events[1].occurredAt',
    ])
    const many = await send(batchMutation, `{"events":[${Array.from({ length: 200 }, () => '{"action":1}').join()}]}`)
    expect(many.errors).toHaveLength(1)
    expect(many.errors![0]!.extensions.faults!.length).toBeGreaterThan(10)
  })

  test('refuses variables that are given twice', async () => {
    const { errors } = await send(
      mutation,
      `${withText('"traceId":"t"')}},"variables":{"input":${withText('"traceId":"u"')}`,
    )
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input' })
  })

  test('refuses more than 1000 events', async () => {
    const events = Array.from({ length: 1001 }, () => ({ action: 'a', category: 'b' }))
    const { errors } = await send(batchMutation, JSON.stringify({ events }))
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'events' })
  })

  test('a time that is null is the time of receiving', async () => {
    const { data } = await send(mutation, withText('"occurredAt":null'))
    expect(data!.ingestEvent!.event['occurredAt']).toMatch(/Z$/)
  })

  test.each(['"2026-13-01T00:00:00Z"', '"yesterday"', '12'])('refuses a time that is %s', async (text) => {
    const { errors } = await send(mutation, withText(`"occurredAt":${text}`))
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'occurredAt' })
  })
})
