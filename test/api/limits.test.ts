import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World } from '../harness/app.js'

let open: World
let closed: World
beforeAll(async () => {
  ;[open, closed] = await Promise.all([
    createWorld(),
    createWorld({ config: { introspection: false, graphiql: false } }),
  ])
})
afterAll(() => Promise.all([open.close(), closed.close()]))

const repeat = (count: number, piece: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => piece(index)).join(' ')
const nest = (depth: number) => `${'{ company { workspaces '.repeat(depth)}{ id }${' } }'.repeat(depth)}`
const codesOf = (answer: { errors: readonly { extensions: { code: string } }[] | undefined }) =>
  answer.errors?.map(({ extensions }) => extensions.code)

describe('an attack', () => {
  const doubling = `{ company { ...f0 } } ${repeat(26, (n) => `fragment f${n} on Company { workspaces { company { ...f${n + 1} ...f${n + 1} } } }`)} fragment f26 on Company { id }`
  const attacks: [string, string, string][] = [
    ['by depth', nest(6), 'QUERY_TOO_COMPLEX'],
    [
      'by depth in fragments',
      `{ company { ...a } } fragment a on Company { workspaces { company { workspaces { company { ...b } } } } } fragment b on Company { workspaces { company { workspaces { company { workspaces { id } } } } } }`,
      'QUERY_TOO_COMPLEX',
    ],
    ['by aliases', `{ ${repeat(16, (n) => `a${n}: viewer { __typename }`)} }`, 'QUERY_TOO_COMPLEX'],
    ['by aliases of __typename', `{ ${repeat(16, (n) => `a${n}: __typename`)} }`, 'QUERY_TOO_COMPLEX'],
    [
      'by aliases in a fragment spread again and again',
      `{ company { ...a workspaces { company { ...a } } } } fragment a on Company { ${repeat(8, (n) => `a${n}: name`)} }`,
      'QUERY_TOO_COMPLEX',
    ],
    [
      'by directives',
      `{ viewer { __typename ${repeat(11, (n) => `... on AnonymousViewer @include(if: ${n % 2 === 0}) { reason }`)} } }`,
      'QUERY_TOO_COMPLEX',
    ],
    [
      'by page size times page size',
      `{ ${repeat(15, (n) => `a${n}: globalEvents(first: 500) { nodes { payload metadata } }`)} }`,
      'QUERY_TOO_COMPLEX',
    ],
    [
      'by lists in lists',
      `{ globalEvents(first: 500) { nodes { company { workspaces { projects { id name slug } } } } } }`,
      'QUERY_TOO_COMPLEX',
    ],
    ['by tokens', `{ ${repeat(5000, () => 'viewer { __typename }')} }`, 'GRAPHQL_PARSE_FAILED'],
    ['by fragments that double', doubling, 'GRAPHQL_VALIDATION_FAILED'],
    [
      'by fragments in a circle',
      '{ company { ...a } } fragment a on Company { ...b } fragment b on Company { ...a }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    [
      'by introspection in circles',
      `{ __schema { types { ${'fields { type { '.repeat(4)} name ${'} }'.repeat(4)} } } }`,
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['by many faults', `{ ${repeat(1000, (n) => `x${n}`)} }`, 'GRAPHQL_VALIDATION_FAILED'],
    [
      'by nested parentheses of a literal',
      `{ globalEvents(filter: ${'{ a: '.repeat(500)}1${' }'.repeat(500)}) { complete } }`,
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['by rubbish', '{{{{', 'GRAPHQL_PARSE_FAILED'],
    ['by a depth that ends the stack', `${'{a'.repeat(50_000)}${'}'.repeat(50_000)}`, 'GRAPHQL_PARSE_FAILED'],
  ]
  it.each(attacks)('%s is refused at once, with a code and no 500', async (_, query, code) => {
    const startedMs = performance.now()
    const answer = await open.gql(open.acme.key, query)
    expect(performance.now() - startedMs).toBeLessThan(1500)
    expect(answer.status).toBe(200)
    expect(codesOf(answer)).toContain(code)
    expect(answer.data).toBeUndefined()
    expect(answer.errors!.length).toBeLessThanOrEqual(101)
    expect(JSON.stringify(answer.errors)).not.toContain('call stack')
  })

  it('by variables of the wrong kind is refused, naming the field and not repeating the value', async () => {
    const secret = 'ada@example.com'
    const query = 'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId } } }'
    const input = {
      events: [
        { action: 'a', category: 'c' },
        { action: 'a', category: 'c', occurredAt: secret, payload: [secret] },
      ],
    }
    const answer = await open.gql(open.acme.in.EU.key, query, { input })
    expect(answer.errors).toHaveLength(1)
    expect(answer.errors![0]!.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'events[1].payload',
      faults: [{ field: 'events[1].payload' }, { field: 'events[1].occurredAt' }],
    })
    expect(JSON.stringify(answer.errors)).not.toContain(secret)
  })

  it.each([
    ['that is missing', { category: 'c' }, 'events[0].action'],
    ['that is not there', { action: 'a', category: 'c', actr: {} }, 'events[0].actr'],
    ['that is missing inside', { action: 'a', category: 'c', changes: [{}] }, 'events[0].changes[0].field'],
  ])('a field %s is named', async (_, event, field) => {
    const query = 'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId } } }'
    const answer = await open.gql(open.acme.in.EU.key, query, { input: { events: [event] } })
    expect(answer.errors?.map(({ extensions }) => extensions['field'])).toEqual([field])
  })

  it('by an operation that is not there, or two without a name', async () => {
    expect(codesOf(await open.gql(null, 'query a { __typename } query b { __typename }'))).toEqual([
      'OPERATION_RESOLUTION_FAILURE',
    ])
    expect(codesOf(await open.gql(null, 'fragment a on Company { id }'))).toBeDefined()
    expect(codesOf(await open.gql(null, 'subscription { x }'))).toBeDefined()
  })
})

describe('what an honest client asks', () => {
  it('fits: the largest page with all its fields, and the introspection of tools', async () => {
    const full = `id company { id name slug } workspace { id name slug } project { id name slug } dataRegion action category
      actor { id email name } target { id type } payload metadata changes { field old new } traceId occurredAt receivedAt sequence hash prevHash erasedAt`
    const page = await open.gql(
      open.acme.key,
      `query ($first: Int) { globalEvents(first: $first) { edges { cursor node { ${full} } } totalCount totalCountIsExact complete regions { region status } pageInfo { hasNextPage } } }`,
      { first: 500 },
    )
    expect(page.errors).toBeUndefined()
    const { getIntrospectionQuery } = await import('graphql')
    const tool = await open.gql(null, getIntrospectionQuery())
    expect(tool.errors).toBeUndefined()
    expect(JSON.stringify(tool.data)).toContain('"queryType":{"name":"Query"')
  })
})

describe('with introspection off', () => {
  it('the schema is not told', async () => {
    for (const query of ['{ __schema { types { name } } }', '{ __type(name: "Company") { name } }'])
      expect(codesOf(await closed.gql(closed.acme.key, query))).toEqual(['GRAPHQL_VALIDATION_FAILED'])
    expect((await closed.gql(null, '{ __typename }')).data).toEqual({ __typename: 'Query' })
  })

  it('names can not be guessed from hints', async () => {
    const guesses: [string, Record<string, unknown>?][] = [
      ['{ compani { id } }'],
      ['{ company { nam } }'],
      ['{ globalEvents(firts: 1) { complete } }'],
      ['{ globalEvents(regions: [EUU]) { complete } }'],
      ['query ($filter: EventFilter) { globalEvents(filter: $filter) { complete } }', { filter: { actor: 1 } }],
      ['query ($regions: [Region!]) { globalEvents(regions: $regions) { complete } }', { regions: ['EUU'] }],
    ]
    for (const [query, variables] of guesses) {
      const { errors } = await closed.gql(closed.acme.key, query, variables)
      expect(errors, query).toBeDefined()
      expect(JSON.stringify(errors), query).not.toMatch(/did you mean/i)
    }
    // The same with introspection on does give hints: the test can fail.
    expect(JSON.stringify((await open.gql(open.acme.key, '{ compani { id } }')).errors)).toMatch(/did you mean/i)
  })
})
