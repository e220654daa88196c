import { connect } from 'node:net'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World } from '../harness/app.js'

let world: World
const lines: string[] = []
beforeAll(async () => {
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  world = await createWorld({ log: pino({ level: 'trace' }, stream), config: { bodyLimitBytes: 2_000_000 } })
})
afterAll(() => world.close())

const post = (body: BodyInit, headers: Record<string, string> = {}, path = '') =>
  fetch(world.url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
const ask = JSON.stringify({ query: '{ __typename }' })
const codeOf = async (response: Response) =>
  ((await response.json()) as { errors: { extensions: { code: string } }[] }).errors[0]!.extensions.code

describe('bodies', () => {
  it.each([
    ['no JSON', '{"query":', 400],
    ['an empty one', '', 400],
    ['a text', '"query"', 400],
    ['null', 'null', 400],
    ['a batch', `[${ask},${ask}]`, 400],
    ['no query', '{"variables":{}}', 400],
    ['a query that is no text', '{"query":{"a":1}}', 400],
    ['variables that are no object', '{"query":"{ __typename }","variables":[1]}', 400],
    ['bytes that are no UTF-8', Buffer.from('7b22717565727922 3a22ff227d'.replace(' ', ''), 'hex'), 400],
    [
      'very deep JSON',
      `{"query":"{ __typename }","variables":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
      200,
    ],
    [
      'members with dangerous names',
      '{"query":"{ __typename }","__proto__":{"x":1},"constructor":{"prototype":{"x":1}},"variables":{"__proto__":{"y":1}}}',
      200,
    ],
  ])('%s is answered without a 500', async (_, body, status) => {
    const response = await post(body)
    expect(response.status).toBe(status)
    const text = await response.text()
    expect(text).not.toMatch(/at .*\.[jt]s:|SyntaxError|Unexpected/)
    expect(JSON.parse(text)).toHaveProperty(status === 200 ? 'data' : 'errors')
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  })

  it.each([
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['multipart/form-data; boundary=x', 415],
    ['application/json; charset=latin1', 400],
    ['application/json; charset=UTF-8', 200],
  ])('of type %s get %i', async (type, status) => {
    expect((await post(ask, { 'content-type': type })).status).toBe(status)
  })

  it('in an encoding are refused, saying so', async () => {
    const response = await post(ask, { 'content-encoding': 'gzip' })
    expect(response.status).toBe(415)
    expect(await response.text()).toContain('Content-Encoding')
  })

  it('beyond the limit are refused, and large ones of nobody before they are read', async () => {
    const large = JSON.stringify({ query: '{ __typename }', variables: { a: 'x'.repeat(1_500_000) } })
    expect((await post(large, { authorization: `Bearer ${world.acme.key}` })).status).toBe(200)
    const refused = await post(large)
    expect([refused.status, await codeOf(refused)]).toEqual([413, 'UNAUTHENTICATED'])
    const tooLarge = JSON.stringify({ query: '{ __typename }', variables: { a: 'x'.repeat(2_000_000) } })
    expect((await post(tooLarge, { authorization: `Bearer ${world.acme.key}` })).status).toBe(413)
  })
})

describe('requests', () => {
  it('by GET need what a form or an image can not send', async () => {
    const query = `?query=${encodeURIComponent('{ __typename }')}`
    expect((await fetch(world.url + query)).status).toBe(400)
    expect((await fetch(world.url + query, { headers: { 'apollo-require-preflight': '1' } })).status).toBe(200)
    const mutation = `?query=${encodeURIComponent('mutation { ingestEvent(input: { action: "a", category: "c" }) { receipt { eventId } } }')}`
    const headers = { 'apollo-require-preflight': '1', authorization: `Bearer ${world.acme.in.EU.key}` }
    expect((await fetch(world.url + mutation, { headers })).status).toBe(405)
  })

  it('that are refused as GraphQL get 200 as application/json and 400 as application/graphql-response+json', async () => {
    const refused = [
      JSON.stringify({ query: '{' }),
      JSON.stringify({ query: '{ nothing }' }),
      JSON.stringify({ query: 'query ($a: ID!) { event(id: $a) { id } }' }),
      JSON.stringify({
        query:
          '{ company { workspaces { company { workspaces { company { workspaces { company { workspaces { company { workspaces { id } } } } } } } } } } }',
      }),
    ]
    for (const body of refused) {
      const json = await post(body)
      expect([json.status, json.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8'])
      const graphql = await post(body, { accept: 'application/graphql-response+json' })
      expect(graphql.status).toBe(400)
      expect(await graphql.json()).not.toHaveProperty('data')
    }
    expect((await post(ask, { accept: 'text/csv' })).status).toBe(406)
  })

  it('to elsewhere, or by other methods, are answered in the same form', async () => {
    const elsewhere = await fetch(new URL('/nothing', world.url))
    expect([elsewhere.status, await codeOf(elsewhere)]).toEqual([404, 'NOT_FOUND'])
    expect((await fetch(world.url, { method: 'DELETE' })).status).toBe(404)
  })

  it('with a malformed Host get 400', async () => {
    const { hostname, port } = new URL(world.url)
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () =>
        socket.end(
          `POST /graphql HTTP/1.1\r\nHost: [[\r\nContent-Type: application/json\r\nContent-Length: ${ask.length}\r\n\r\n${ask}`,
        ),
      )
      let text = ''
      socket.on('data', (bytes) => (text += bytes.toString()))
      socket.on('close', () => resolve(text))
      socket.on('error', reject)
    })
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('carry an id, and are not to be cached or guessed at', async () => {
    const { headers } = await post(ask)
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('what goes wrong on our side', () => {
  it('is answered with a request id and nothing else, and logged under it', async () => {
    // A table is taken away, as a failed migration would: PostgreSQL's error names it.
    const { app, databases, acme } = world
    const { Client } = await import('pg')
    const owner = new Client({ connectionString: databases.control.ownerUrl })
    await owner.connect()
    await owner.query('alter table project rename to hidden_project')
    try {
      app.facts.reset()
      const { data, errors } = await world.gql(acme.key, '{ company { workspaces { name projects { name } } } }')
      expect(data.company).toBeNull()
      const [error] = errors!
      expect(error!.message).toBe('Something went wrong on our side.')
      expect(Object.keys(error!.extensions).toSorted()).toEqual(['code', 'requestId'])
      expect(lines.some((line) => line.includes(error!.extensions.requestId!) && line.includes('42P01'))).toBe(true)
    } finally {
      await owner.query('alter table hidden_project rename to project')
      await owner.end()
    }
  })
})

describe('logs', () => {
  it('have a line per request and nothing of what was sent', async () => {
    const marks = ['MARK-action', 'MARK-payload', 'MARK-mail@example.com', 'MARK-filter', 'MARK-query']
    const { EU } = world.acme.in
    const ingest = 'mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId } } }'
    const input = {
      action: 'MARK-action',
      category: 'c',
      actor: { email: 'MARK-mail@example.com' },
      payload: { a: 'MARK-payload' },
    }
    await world.gql(EU.key, ingest, { input })
    await world.gql(EU.key, ingest, { input: { ...input, occurredAt: 'MARK-payload', category: 7 } })
    await world.gql(EU.key, '{ workspaceEvents(filter: { actorId: "MARK-filter" }) { nodes { id } } }')
    await fetch(`${world.url}?query=MARK-query`)
    await post('{"MARK-query":')
    const all = lines.join('')
    expect(lines.filter((line) => line.includes('"route":"/graphql"')).length).toBeGreaterThan(4)
    for (const mark of marks) expect(all).not.toContain(mark)
    expect(all).not.toContain(EU.key)
    expect(all).not.toContain('hlk_')
  })
})

describe('GraphiQL', () => {
  it('comes from here, needs nobody else, and may run its own script alone', async () => {
    const response = await fetch(world.url, { headers: { accept: 'text/html,application/xhtml+xml' } })
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy')!
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/https?:|unsafe-eval|script-src[^;]*unsafe-inline/)
    const html = await response.text()
    expect(html).not.toMatch(/<(script|link|img|iframe)[^>]+(src|href)=["']?https?:/i)
    const { createHash } = await import('node:crypto')
    const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script/g)].map(([, text]) => text!)
    expect(scripts).toHaveLength(1)
    expect(policy).toContain(`'sha256-${createHash('sha256').update(scripts[0]!).digest('base64')}'`)
  })
})

describe('health', () => {
  it('/healthz and /readyz answer', async () => {
    expect(await (await fetch(new URL('/healthz', world.url))).json()).toEqual({ status: 'ok' })
    expect((await fetch(new URL('/readyz', world.url))).status).toBe(200)
  })
})

describe('closing', () => {
  it('finishes what is under way: every acknowledged event is there, and every request is answered', async () => {
    const other = await createWorld()
    const { EU } = other.acme.in
    const ingest = 'mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId } } }'
    const sent = Array.from({ length: 40 }, (_, index) =>
      other.gql(EU.key, ingest, { input: { action: `${index}`, category: 'c' } }).then(
        ({ data }) => data?.ingestEvent?.receipt?.eventId as string | undefined,
        () => undefined,
      ),
    )
    await Promise.race(sent)
    const closing = other.app.close()
    const acknowledged = (await Promise.all(sent)).filter((id) => id !== undefined)
    await closing
    const { Client } = await import('pg')
    const client = new Client({ connectionString: other.databases.superuserUrl(other.databases.regions.EU.name) })
    await client.connect()
    const { rows } = await client.query<{ count: string }>('select count(*) from event')
    await client.end()
    expect(acknowledged.length).toBeGreaterThan(0)
    expect(Number(rows[0]!.count)).toBe(acknowledged.length)
    await other.close()
  })
})
