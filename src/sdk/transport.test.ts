import { describe, expect, test } from 'vitest'
import { createHyreLogClient, HyreLogError, type HyreLogClient } from './index.js'

type Answer = Response | Error

/** A client whose network gives these answers, one a request, and what it was sent. */
function clientOf(answers: readonly Answer[]): { client: HyreLogClient; sent: Request[] } {
  const sent: Request[] = []
  const client = createHyreLogClient({
    endpoint: 'https://audit.example.com/graphql',
    apiKey: 'hlk_ws_secret',
    fetch: (input, init) => {
      const answer = answers[sent.length]
      sent.push(new Request(input, init))
      if (answer === undefined) throw new Error('no further answer was planned')
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
    },
  })
  return { client, sent }
}

const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers })
const failure = (code: string, extensions: object = {}): Response =>
  json({ data: null, errors: [{ message: `It was ${code}.`, extensions: { code, ...extensions } }] })
const recorded = (): Response =>
  json({
    data: {
      ingestEvents: {
        receipts: [{ eventId: 'evt_eu_1', status: 'RECORDED', replayed: false, sequence: 1, hash: 'ab' }],
      },
    },
  })
const page = (ids: readonly string[], endCursor: string | null, complete = true): Response =>
  json({
    data: {
      globalEvents: {
        edges: ids.map((id) => ({ cursor: id, node: { id } })),
        pageInfo: { hasNextPage: endCursor !== null, hasPreviousPage: false, startCursor: null, endCursor },
        complete,
        regions: [
          { region: 'EU', status: 'OK', servedBy: 'EU', pendingWrites: false },
          complete
            ? { region: 'AU', status: 'OK', servedBy: 'AU', reason: null, pendingWrites: false }
            : { region: 'AU', status: 'UNAVAILABLE', servedBy: null, reason: 'timeout', pendingWrites: false },
        ],
      },
    },
  })

const keyed = { input: { events: [{ action: 'a', category: 'c', idempotencyKey: 'k' }] } }
const keyless = { input: { events: [...keyed.input.events, { action: 'a', category: 'c' }] } }

async function errorOf(promise: Promise<unknown>): Promise<HyreLogError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof HyreLogError)) throw new Error('expected a HyreLogError', { cause: error })
  return error
}

const idsOf = async (events: AsyncIterable<{ id: string }>): Promise<string[]> => {
  const ids: string[] = []
  for await (const event of events) ids.push(event.id)
  return ids
}

describe('a client', () => {
  test('sends key, query and variables, and answers with the data', async () => {
    const { client, sent } = clientOf([recorded()])
    const answer = await client.ingestEvents(keyed)
    expect(answer.ingestEvents.receipts[0]?.eventId).toBe('evt_eu_1')
    expect(sent[0]?.headers.get('authorization')).toBe('Bearer hlk_ws_secret')
    expect(await sent[0]?.json()).toEqual({ query: expect.stringContaining('ingestEvents('), variables: keyed })
  })

  test('an error carries code, field, faults, regions and request id', async () => {
    const faults = [{ field: 'events[0].action', message: 'must not be blank.' }]
    const { client } = clientOf([
      failure('BAD_USER_INPUT', { field: 'events[0].action', faults, regions: ['EU'], requestId: 'r1' }),
    ])
    expect(await errorOf(client.ingestEvents(keyed))).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: 'It was BAD_USER_INPUT.',
      field: 'events[0].action',
      faults,
      regions: ['EU'],
      requestId: 'r1',
      status: 200,
    })
  })

  test.each([
    ['RATE_LIMITED', () => failure('RATE_LIMITED', { retryAfterMs: 1 })],
    ['REGION_UNAVAILABLE', () => failure('REGION_UNAVAILABLE')],
    ['a lost connection', () => new TypeError('fetch failed')],
    ['a gateway without its service', () => new Response('<html>', { status: 502 })],
  ])('repeats a keyed recording after %s', async (_, answer) => {
    const { client, sent } = clientOf([answer(), recorded()])
    await client.ingestEvents(keyed)
    expect(sent).toHaveLength(2)
    expect(await sent[1]?.text()).toBe(await sent[0]?.text())
  })

  test('never repeats a recording one of whose events has no key', async () => {
    const { client, sent } = clientOf([new TypeError('fetch failed'), recorded()])
    expect((await errorOf(client.ingestEvents(keyless))).code).toBe('NETWORK_ERROR')
    expect(sent).toHaveLength(1)
  })

  test('repeats queries, and gives up in the end', async () => {
    const { client, sent } = clientOf(Array.from({ length: 9 }, () => failure('RATE_LIMITED', { retryAfterMs: 1 })))
    expect((await errorOf(client.viewer())).code).toBe('RATE_LIMITED')
    expect(sent).toHaveLength(5)
  })

  test('does not repeat what will not change', async () => {
    const { client, sent } = clientOf([failure('FORBIDDEN'), new Response('not here', { status: 404 })])
    expect((await errorOf(client.ingestEvents(keyed))).code).toBe('FORBIDDEN')
    expect(await errorOf(client.viewer())).toMatchObject({ code: 'HTTP_ERROR', status: 404 })
    expect(sent).toHaveLength(2)
  })

  test('an abort ends the wait for the next attempt with its own reason', async () => {
    const { client, sent } = clientOf([failure('RATE_LIMITED', { retryAfterMs: 50_000 })])
    const abort = new AbortController()
    const answer = client.viewer(undefined, { signal: abort.signal })
    await expect.poll(() => sent.length).toBe(1)
    abort.abort(new Error('changed my mind'))
    await expect(answer).rejects.toThrow('changed my mind')
  })
})

describe('iterateGlobalEvents', () => {
  test('follows the cursors to the end', async () => {
    const { client, sent } = clientOf([page(['a', 'b'], 'b'), page(['c'], null)])
    expect(await idsOf(client.iterateGlobalEvents({ filter: { actorId: 'x' }, pageSize: 2 }))).toEqual(['a', 'b', 'c'])
    expect(await sent[1]?.json()).toMatchObject({ variables: { filter: { actorId: 'x' }, first: 2, after: 'b' } })
  })

  test('a page that misses a region is an error, unless the caller listens', async () => {
    const { client } = clientOf([page(['a'], 'a', false), page(['a'], 'a', false), page(['b'], null)])
    expect(await errorOf(idsOf(client.iterateGlobalEvents()))).toMatchObject({
      code: 'INCOMPLETE_PAGE',
      regions: ['AU'],
      message: 'Events are missing from this page: AU (timeout).',
    })
    const heard: unknown[] = []
    expect(await idsOf(client.iterateGlobalEvents({ onIncomplete: (regions) => heard.push(regions) }))).toEqual([
      'a',
      'b',
    ])
    expect(heard).toEqual([expect.arrayContaining([expect.objectContaining({ region: 'AU', reason: 'timeout' })])])
  })

  test.each([
    [{ status: 'SERVED_BY_REPLICA', servedBy: 'US', replicationLagEvents: 2 }, 'a replica in US that may be behind'],
    [{ status: 'OK', servedBy: 'AU', pendingWrites: true }, 'some wait to be recorded'],
  ])('and says what may be missing: %o', async (report, fault) => {
    const body = (await page(['a'], null, false).json()) as { data: { globalEvents: { regions: unknown[] } } }
    body.data.globalEvents.regions[1] = { region: 'AU', reason: null, pendingWrites: false, ...report }
    const { client } = clientOf([json(body)])
    expect(await errorOf(idsOf(client.iterateGlobalEvents()))).toMatchObject({
      code: 'INCOMPLETE_PAGE',
      regions: ['AU'],
      message: `Events are missing from this page: AU (${fault}).`,
    })
  })

  test('a company that is not the caller’s is NOT_FOUND, not an empty list', async () => {
    const { client } = clientOf([json({ data: { globalEvents: null } })])
    expect((await errorOf(idsOf(client.iterateGlobalEvents({ companyId: 'co_x' })))).code).toBe('NOT_FOUND')
  })
})
