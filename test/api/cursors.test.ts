import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { regions } from '../../src/kernel/region.js'
import { createWorld, type World } from '../harness/app.js'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

interface Page {
  edges: { cursor: string; node: { id: string; action: string } }[]
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null }
}
const pageFields = 'edges { cursor node { id action } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }'
const globalQuery = `query ($filter: EventFilter, $regions: [Region!], $first: Int, $after: String, $last: Int, $before: String) {
  globalEvents(filter: $filter, regions: $regions, first: $first, after: $after, last: $last, before: $before) { ${pageFields} } }`

async function globalPage(variables: Record<string, unknown>, key = world.acme.key): Promise<Page> {
  const { data, errors } = await world.gql(key, globalQuery, variables)
  expect(errors).toBeUndefined()
  return data.globalEvents as Page
}

/** All pages from one end to the other. */
async function walk(
  size: number,
  forward: boolean,
  more: Record<string, unknown> = {},
  onPage?: () => Promise<void>,
): Promise<string[]> {
  const seen: string[] = []
  let cursor: string | null = null
  for (;;) {
    const page: Page = await globalPage(
      forward ? { ...more, first: size, after: cursor } : { ...more, first: null, last: size, before: cursor },
    )
    const ids = page.edges.map(({ node }) => node.id)
    if (forward) seen.push(...ids)
    else seen.unshift(...ids)
    if (!(forward ? page.pageInfo.hasNextPage : page.pageInfo.hasPreviousPage)) return seen
    cursor = forward ? page.pageInfo.endCursor : page.pageInfo.startCursor
    await onPage?.()
  }
}

describe('a thousand events of one moment in three regions', () => {
  const recorded = new Set<string>()
  const occurredAt = '2026-05-05T05:05:05.555Z'
  const filter = { actions: ['same.moment'] }
  beforeAll(async () => {
    for (const [region, count] of [
      ['AU', 500],
      ['US', 300],
      ['EU', 200],
    ] as const) {
      const events = Array.from({ length: count }, () => ({ action: 'same.moment', category: 'test', occurredAt }))
      for (const id of await world.record(world.acme.in[region], events)) recorded.add(id)
    }
  })

  it('each come once forward, while more of the same moment arrive', async () => {
    let arrived = 0
    const seen = await walk(97, true, { filter }, async () => {
      if (arrived++ > 8) return
      const region = regions[arrived % 4]!
      await world.record(world.acme.in[region], [{ action: 'same.moment', category: 'test', occurredAt }])
    })
    expect(new Set(seen).size).toBe(seen.length)
    expect(recorded.difference(new Set(seen)).size).toBe(0)
  })

  it('each come once backward, in the same order as forward, whatever the page size', async () => {
    const forward = await walk(500, true, { filter })
    expect(await walk(113, false, { filter })).toEqual(forward)
    expect(await walk(250, true, { filter })).toEqual(forward)
    expect(await walk(99, true, { filter, regions: ['US', 'EU'] })).toEqual(
      forward.filter((id) => id.startsWith('evt_us_') || id.startsWith('evt_eu_')),
    )
  })
})

describe('a page', () => {
  beforeAll(async () => {
    const days = [1, 2, 3, 4, 5]
    await world.record(
      world.globex.in.EU,
      days.map((day) => ({ action: `day ${day}`, category: 'test', occurredAt: `2026-01-0${day}T00:00:00Z` })),
    )
  })
  const actionsOf = (page: Page) => page.edges.map(({ node }) => node.action)

  it('says what lies before and after it', async () => {
    const first = await globalPage({ first: 2 }, world.globex.key)
    expect(actionsOf(first)).toEqual(['day 5', 'day 4'])
    expect(first.pageInfo).toEqual({
      hasNextPage: true,
      hasPreviousPage: false,
      startCursor: first.edges[0]!.cursor,
      endCursor: first.edges[1]!.cursor,
    })
    const second = await globalPage({ first: 3, after: first.pageInfo.endCursor }, world.globex.key)
    expect(actionsOf(second)).toEqual(['day 3', 'day 2', 'day 1'])
    expect(second.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true })
    const back = await globalPage({ first: null, last: 2, before: second.edges[1]!.cursor }, world.globex.key)
    expect(actionsOf(back)).toEqual(['day 4', 'day 3'])
    expect(back.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true })
    const oldest = await globalPage({ first: null, last: 2 }, world.globex.key)
    expect(actionsOf(oldest)).toEqual(['day 2', 'day 1'])
    expect(oldest.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true })
  })

  it('without events has no cursors', async () => {
    const { edges, pageInfo } = await globalPage({ filter: { actions: ['none'] } }, world.globex.key)
    expect(edges).toEqual([])
    expect(pageInfo).toEqual({ hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null })
  })

  it('takes last in a query that leaves first to its default', async () => {
    const { data, errors } = await world.gql(world.globex.key, '{ globalEvents(last: 1) { nodes { action } } }')
    expect(errors).toBeUndefined()
    expect(data.globalEvents.nodes).toEqual([{ action: 'day 1' }])
  })

  it.each([
    ['first: 0', 'first'],
    ['first: -1', 'first'],
    ['first: 501', 'first'],
    ['last: 0', 'last'],
    ['last: 501', 'last'],
    ['first: 5, last: 5', 'last'],
    ['last: 5, after: "x"', 'after'],
    ['first: 5, before: "x"', 'before'],
    ['before: "x"', 'before'],
  ])('refuses %s (BAD_USER_INPUT, %s)', async (args, field) => {
    const { errors } = await world.gql(world.globex.key, `{ globalEvents(${args}) { nodes { id } } }`)
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field })
  })

  it('takes 500', async () => {
    const { errors } = await world.gql(world.globex.key, '{ globalEvents(first: 500) { nodes { id } } }')
    expect(errors).toBeUndefined()
  })
})

describe('a cursor', () => {
  const lists = (cursor: string): [string, string | null, string][] => {
    const after = `after: "${cursor}"`
    const { acme, globex } = world
    return [
      ['another filter', acme.key, `globalEvents(filter: { actions: ["x"] }, ${after})`],
      ['other regions', acme.key, `globalEvents(regions: [AU, US], ${after})`],
      ['another list', acme.key, `companyEvents(${after})`],
      ['a workspace', acme.key, `workspaceEvents(workspaceId: "${acme.in.AU.gid}", ${after})`],
      ['another company', globex.key, `globalEvents(${after})`],
    ]
  }
  const code = async (key: string | null, field: string) =>
    (await world.gql(key, `{ ${field} { nodes { id } } }`)).errors?.[0]?.extensions

  it('is refused by every list but its own (BAD_USER_INPUT, after)', async () => {
    const { edges } = await globalPage({ first: 1 })
    const { cursor } = edges[0]!
    expect(await code(world.acme.key, `globalEvents(after: "${cursor}")`)).toBeUndefined()
    for (const [what, key, field] of lists(cursor))
      expect(await code(key, field), what).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' })
  })

  it('is good for the same question put otherwise', async () => {
    const ask = (filter: Record<string, unknown>, after: string | null = null) =>
      globalPage({ filter, first: 1, after })
    const { edges } = await ask({ actions: ['same.moment', 'b'], actorEmail: null })
    const next = await ask({ actions: ['b', 'same.moment', 'b'] }, edges[0]!.cursor)
    expect(next.edges).toHaveLength(1)
  })

  it('is refused when a single character differs, and when it is rubbish', async () => {
    const { edges } = await globalPage({ first: 1 })
    const { cursor } = edges[0]!
    const other = (char: string) => (char === 'A' ? 'B' : 'A')
    const tampered = [...cursor].map((char, at) => cursor.slice(0, at) + other(char) + cursor.slice(at + 1))
    // The last character has two bits that stand for nothing: another spelling of the same bytes is refused too.
    const spelling = cursor.slice(0, -1) + String.fromCharCode(cursor.charCodeAt(cursor.length - 1) + 1)
    for (const text of [...tampered, spelling, '', 'x', `${cursor}=`, ` ${cursor}`, `${cursor}A`, 'é'.repeat(55)])
      expect(await code(world.acme.key, `globalEvents(after: "${text}")`), text).toMatchObject({
        code: 'BAD_USER_INPUT',
        field: 'after',
      })
  })
})
