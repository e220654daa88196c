import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { createWorld, type World } from '../harness/app.js'
import { settableClock } from '../harness/settable-clock.js'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

const everything = `
  id company { id name slug dataRegion replicateTo retentionDays createdAt } workspace { id name dataRegion status }
  project { id name } dataRegion action category actor { id email name } target { id type } payload metadata
  changes { field old new } traceId occurredAt receivedAt sequence hash prevHash erasedAt`

const event = (action: string, more: Record<string, unknown> = {}) => ({ action, category: 'test', ...more })

describe('event', () => {
  it('gives back everything that was recorded', async () => {
    const { in: at, gid } = world.acme
    const { projectId, ...recorded } = {
      action: 'invoice.paid',
      category: 'billing',
      actor: { id: 'u-1', email: 'Ada@Example.com', name: 'Ada Lovelace' },
      target: { id: 'inv-7', type: 'invoice' },
      projectId: at.EU.project.gid,
      payload: JSON.parse('{"amount":12.5,"lines":[1,{"a":null}],"":"empty","a.b":true,"__proto__":{"admin":true}}'),
      metadata: { ip: '10.0.0.1' },
      changes: [
        { field: 'status', old: 'open', new: 'paid' },
        { field: 'note', new: null },
      ],
      occurredAt: '2026-03-01T12:00:00.123+02:00',
      traceId: 'trace-9',
    }
    const [id] = await world.record(at.EU, [{ ...recorded, projectId }])
    const query = `query ($id: ID!) { event(id: $id) { ${everything} } }`
    const { data, errors } = await world.gql(world.acme.key, query, { id })
    expect(errors).toBeUndefined()
    expect(data.event).toMatchObject({
      ...recorded,
      id,
      project: { id: projectId },
      company: { id: gid },
      workspace: { id: at.EU.gid, dataRegion: 'EU', status: 'ACTIVE' },
      dataRegion: 'EU',
      payload: {},
      changes: [
        { field: 'status', old: 'open', new: 'paid' },
        { field: 'note', old: null, new: null },
      ],
      occurredAt: '2026-03-01T10:00:00.123Z',
      sequence: 1,
      prevHash: null,
      erasedAt: null,
    })
    const { payload } = data.event
    expect(Object.keys(payload).toSorted()).toEqual(['', '__proto__', 'a.b', 'amount', 'lines'])
    expect(Object.getOwnPropertyDescriptor(payload, '__proto__')?.value).toEqual({ admin: true })
    expect(payload).toMatchObject({ amount: 12.5, lines: [1, { a: null }], '': 'empty', 'a.b': true })
  })

  it('gives null and {} for what was not sent', async () => {
    const [id] = await world.record(world.acme.in.US, [event('bare')])
    const query = `query ($id: ID!) { event(id: $id) { ${everything} } }`
    const { data } = await world.gql(world.acme.in.US.key, query, { id })
    expect(data.event).toMatchObject({
      actor: null,
      target: null,
      payload: {},
      metadata: null,
      changes: null,
      traceId: null,
      project: null,
    })
  })

  it('is found by its id through node, with its own fields', async () => {
    const [id] = await world.record(world.acme.in.US, [event('by-node')])
    const query = 'query ($id: ID!) { node(id: $id) { __typename id ... on AuditEvent { action } } }'
    const { data } = await world.gql(world.acme.key, query, { id })
    expect(data.node).toEqual({ __typename: 'AuditEvent', id, action: 'by-node' })
  })

  it('is null where it does not exist, and BAD_USER_INPUT where the id is none', async () => {
    const unknown = 'evt_eu_01h455vb4pex5vsknk084sn02q'
    const query = 'query ($id: ID!) { event(id: $id) { id } }'
    expect((await world.gql(world.acme.key, query, { id: unknown })).data).toEqual({ event: null })
    for (const id of ['', 'evt_eu_1', 'evt_mars_01h455vb4pex5vsknk084sn02q', world.acme.gid, '%00']) {
      const { errors } = await world.gql(world.acme.key, query, { id })
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'id' })
    }
  })
})

describe('ingestEvent', () => {
  it('answers the event as it was recorded', async () => {
    const { data, errors } = await world.gql(
      world.acme.in.APAC.key,
      'mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId sequence status replayed } event { id sequence actor { id } } } }',
      { input: event('seen.at.once', { actor: { id: 'me' } }) },
    )
    expect(errors).toBeUndefined()
    const { receipt, event: recorded } = data.ingestEvent
    expect(receipt).toMatchObject({ status: 'RECORDED', replayed: false })
    expect(recorded).toEqual({ id: receipt.eventId, sequence: receipt.sequence, actor: { id: 'me' } })
  })

  it('names fields that the text of the request spoils, however the variables are cut', async () => {
    const send = async (body: string) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${world.acme.in.APAC.key}` }
      const response = await fetch(world.url, { method: 'POST', headers, body })
      return ((await response.json()) as { errors: { extensions: unknown }[] }).errors[0]!.extensions
    }
    const whole = JSON.stringify(
      'mutation ($in: IngestEventsInput!) { ingestEvents(input: $in) { receipts { eventId } } }',
    )
    expect(
      await send(
        `{"query":${whole},"variables":{"in":{"events":[{"action":"a","category":"c"},{"action":"a","category":"c","payload":{"n":9007199254740993,"x":1,"x":2}}]}}}`,
      ),
    ).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'events[1].payload.n',
      faults: expect.arrayContaining([expect.objectContaining({ field: 'events[1].payload.x' })]),
    })
    const piece = JSON.stringify(
      'mutation ($p: JSONObject) { ingestEvent(input: { action: "a", category: "c", payload: $p }) { receipt { eventId } } }',
    )
    expect(await send(`{"query":${piece},"variables":{"p":{"deep":{"x":1,"x":2}}}}`)).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'payload.deep.x',
    })
    const literal = JSON.stringify(
      'mutation { ingestEvent(input: { action: "a", category: "c", payload: { n: 9007199254740993 } }) { receipt { eventId } } }',
    )
    expect(await send(`{"query":${literal}}`)).toMatchObject({ code: 'GRAPHQL_VALIDATION_FAILED' })
  })
})

describe('filters of workspaceEvents', () => {
  const actions = async (filter: Record<string, unknown>) => {
    const { data, errors } = await world.gql(
      world.acme.key,
      'query ($id: ID, $filter: EventFilter) { workspaceEvents(workspaceId: $id, filter: $filter) { nodes { action } totalCount } }',
      { id: world.acme.in.AU.gid, filter },
    )
    expect(errors).toBeUndefined()
    return data.workspaceEvents.nodes.map(({ action }: { action: string }) => action)
  }
  beforeAll(async () => {
    const { AU } = world.acme.in
    await world.record(AU, [
      event('one', { category: 'red', occurredAt: '2026-01-01T00:00:00Z', actor: { id: 'A', email: 'X@Example.com' } }),
      event('two', {
        category: 'green',
        occurredAt: '2026-01-02T00:00:00Z',
        actor: { id: 'a', email: 'y@example.com' },
      }),
      event('three', { category: 'blue', occurredAt: '2026-01-03T00:00:00Z', target: { id: 'A', type: 'door' } }),
      event('four', { occurredAt: '2026-01-04T00:00:00Z', projectId: AU.project.gid, traceId: 'A' }),
      event('five', { occurredAt: '2026-01-05T00:00:00Z', target: { id: 'b', type: 'window' }, traceId: 'b' }),
    ])
  })

  it.each([
    [{}, ['five', 'four', 'three', 'two', 'one']],
    [{ from: '2026-01-02T00:00:00Z', to: '2026-01-04T00:00:00Z' }, ['three', 'two']],
    [{ actions: ['one', 'five', 'one', 'none'] }, ['five', 'one']],
    [{ categories: ['green', 'red'] }, ['two', 'one']],
    [{ actions: ['one', 'two', 'three'], categories: ['red', 'blue'] }, ['three', 'one']],
    [{ actorId: 'A' }, ['one']],
    [{ actorId: 'B' }, []],
    [{ actorEmail: 'x@EXAMPLE.com' }, ['one']],
    [{ targetType: 'door' }, ['three']],
    [{ targetId: 'A' }, ['three']],
    [{ traceId: 'A' }, ['four']],
    [{ targetType: 'door', targetId: 'b' }, []],
    [{ actions: ["o'ne", 'x\\', '%'] }, []],
  ])('%j finds %j', async (filter, expected) => {
    expect(await actions(filter)).toEqual(expected)
  })

  it('by project and by workspace', async () => {
    const { AU, EU } = world.acme.in
    expect(await actions({ projectId: AU.project.gid })).toEqual(['four'])
    expect(await actions({ projectId: EU.project.gid })).toEqual([])
    expect(await actions({ workspaceId: AU.gid })).toHaveLength(5)
    expect(await actions({ workspaceId: EU.gid })).toEqual([])
  })

  it.each([
    [{ actions: [] }, 'filter.actions'],
    [{ categories: ['a\0b'] }, 'filter.categories[0]'],
    [{ targetType: '\ud800' }, 'filter.targetType'],
    [{ workspaceId: 'ws_1' }, 'filter.workspaceId'],
    [{ projectId: 'nonsense' }, 'filter.projectId'],
    [{ from: 'yesterday' }, 'filter.from'],
    [{ from: '2026-02-30T00:00:00Z' }, 'filter.from'],
    [{ to: '0000-01-01T00:00:00Z' }, 'filter.to'],
  ])('refuses %j (BAD_USER_INPUT, %s)', async (filter, field) => {
    const { errors } = await world.gql(
      world.acme.in.AU.key,
      'query ($filter: EventFilter) { workspaceEvents(filter: $filter) { nodes { id } } }',
      { filter },
    )
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field })
  })
})

it('takes up to 50 actions in one filter, and texts up to 320 characters', async () => {
  const ask = (filter: Record<string, unknown>) => {
    const query = 'query ($filter: EventFilter) { workspaceEvents(filter: $filter) { nodes { id } } }'
    return world.gql(world.acme.in.AU.key, query, { filter })
  }
  const names = Array.from({ length: 51 }, (_, index) => `action ${index}`)
  expect((await ask({ actions: names.slice(1), actorId: 'x'.repeat(320) })).errors).toBeUndefined()
  const tooMany = await ask({ actions: names })
  expect(tooMany.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'filter.actions' })
  const tooLong = await ask({ actorId: 'x'.repeat(321) })
  expect(tooLong.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'filter.actorId' })
})

describe('totals', () => {
  const total = async (filter: Record<string, unknown>) => {
    const query =
      'query ($filter: EventFilter) { globalEvents(filter: $filter, first: 1) { totalCount totalCountIsExact } }'
    return (await world.gql(world.globex.key, query, { filter })).data.globalEvents
  }
  it('count every region, with the filter, within a second of recording', async () => {
    const { in: at } = world.globex
    await world.record(at.AU, [event('counted'), event('other')])
    await world.record(at.EU, [event('counted', { actor: { id: 'me' } }), event('counted')])
    await eventually('the index has caught up', async () => (await total({})).totalCount === 4)
    expect(await total({ actions: ['counted'] })).toEqual({ totalCount: 3, totalCountIsExact: true })
    expect(await total({ actorId: 'me' })).toEqual({ totalCount: 1, totalCountIsExact: true })
    expect(await total({ actions: ['nothing'] })).toEqual({ totalCount: 0, totalCountIsExact: true })
  })

  it('are never less than the page that is shown with them, however far behind the index is', async () => {
    const { key, in: at } = world.globex
    const client = new Client({ connectionString: world.databases.superuserUrl(world.databases.control.name) })
    await client.connect()
    try {
      await client.query('begin')
      await client.query('lock table event_index in exclusive mode')
      await world.record(at.US, [event('not in the index'), event('not in the index')])
      const page = (first: number) =>
        `{ globalEvents(filter: { actions: ["not in the index"] }, first: ${first}) { nodes { id } totalCount } }`
      expect((await world.gql(key, page(2))).data.globalEvents).toMatchObject({ nodes: [{}, {}], totalCount: 2 })
    } finally {
      await client.end()
    }
  })

  it('stop at 10 000 and say so', async () => {
    const { app, globex } = world
    const { id, companyId } = globex.in.US
    await app.control.query(
      `insert into event_index (event_id, company_id, workspace_id, region, occurred_at, received_at, action, category)
       select gen_random_uuid(), $1, $2, 'US', now(), now(), 'many', 'test' from generate_series(1, 10001)`,
      [companyId, id],
    )
    expect(await total({ actions: ['many'] })).toEqual({ totalCount: 10_000, totalCountIsExact: false })
  })
})

describe('retention', () => {
  it('hides events by when they were received, in lists, totals and look-ups', async () => {
    const clock = settableClock()
    const later = await createWorld({ clock })
    const { globex } = later
    const { APAC } = globex.in
    const ids = await later.record(APAC, [event('kept', { occurredAt: '2001-01-01T00:00:00Z' }), event('kept too')])
    const query = `query ($id: ID!, $one: ID!) {
      workspaceEvents(workspaceId: $id) { nodes { action } totalCount }
      event(id: $one) { action }
      node(id: $one) { id }
    }`
    const ask = async () => (await later.gql(globex.key, query, { id: APAC.gid, one: ids[0] })).data
    const seen = await eventually('the index has caught up', async () => {
      const data = await ask()
      return data.workspaceEvents.totalCount === 2 && data
    })
    expect(seen.event).toEqual({ action: 'kept' })
    expect(seen.workspaceEvents.nodes).toHaveLength(2)
    clock.advance(364 * 86_400_000)
    expect((await ask()).workspaceEvents.totalCount).toBe(2)
    clock.advance(2 * 86_400_000)
    expect(await ask()).toEqual({ workspaceEvents: { nodes: [], totalCount: 0 }, event: null, node: null })
    await later.close()
  })
})

describe('companyRegions', () => {
  it('asks the regions now and says where archives go', async () => {
    const { data } = await world.gql(
      world.acme.key,
      '{ companyRegions { primary { region healthy latencyMs coldStorage { provider bucket } } replicas { region } } }',
    )
    expect(data.companyRegions.primary).toMatchObject({
      region: 'AU',
      healthy: true,
      coldStorage: { provider: 'LOCAL', bucket: 'au' },
    })
    expect(data.companyRegions.primary.latencyMs).toBeGreaterThan(0)
    expect(data.companyRegions.replicas).toEqual([])
  })
})

describe('viewer', () => {
  const query = `{ viewer { kind: __typename
    ... on ApiKeyViewer { apiKey { id name scope readOnly workspace { id } } company { id workspaces { id projects { id } } } workspace { id } }
    ... on AnonymousViewer { reason } } }`
  it('is the company key with all workspaces', async () => {
    const { viewer } = (await world.gql(world.acme.key, query)).data
    expect(viewer).toMatchObject({ kind: 'ApiKeyViewer', apiKey: { id: world.acme.keyGid, workspace: null } })
    expect(viewer.company.workspaces).toEqual(
      Object.values(world.acme.in).map(({ gid, project }) => ({ id: gid, projects: [{ id: project.gid }] })),
    )
  })
  it('is the workspace key with its own workspace alone', async () => {
    const { US } = world.acme.in
    const { viewer } = (await world.gql(US.key, query)).data
    expect(viewer.workspace).toEqual({ id: US.gid })
    expect(viewer.apiKey.workspace).toEqual({ id: US.gid })
    expect(viewer.company.workspaces.map(({ id }: { id: string }) => id)).toEqual([US.gid])
  })
  it('is nobody without a key, and with one that is none', async () => {
    expect((await world.gql(null, query)).data.viewer.kind).toBe('AnonymousViewer')
    const { viewer } = (await world.gql('hlk_co_nonsense', query)).data
    expect(viewer.kind).toBe('AnonymousViewer')
    expect(viewer.reason).not.toContain('nonsense')
  })
})
