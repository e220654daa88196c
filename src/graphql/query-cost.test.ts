import { buildSchema, getOperationAST, parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DomainError } from '../kernel/domain-error.js'
import { createCostLimit, operationCost } from './query-cost.js'

const schema = buildSchema(`
  type Query { items(first: Int = 50, last: Int): Connection one: Item }
  type Connection { edges: [Edge!]! nodes: [Item!]! total: Int }
  type Edge { cursor: String node: Item }
  type Item { id: ID name: String tags: [String!] children: [Item!] items(first: Int, last: Int): Connection }
`)
function cost(query: string, variables: Record<string, unknown> = {}): number {
  const document = parse(query)
  return operationCost(schema, document, getOperationAST(document)!, variables)
}

describe('the cost of a query', () => {
  it.each([
    ['{ one { id name } }', 3],
    ['{ one { id tags __typename } }', 3],
    ['{ items(first: 10) { nodes { id name } total } }', 1 + 1 + 10 * 2 + 1],
    ['{ items { nodes { id } } }', 1 + 1 + 50],
    ['{ items(last: 5) { edges { cursor node { id } } } }', 1 + 1 + 5 * 3],
    ['{ items(first: 100000) { nodes { id } } }', 1 + 1 + 500],
    ['{ items(first: -3) { nodes { id } } }', 1 + 1 + 1],
    ['{ one { children { id } } }', 1 + 1 + 20],
    ['{ items(first: 10) { nodes { items(first: 10) { nodes { id } } } } }', 1 + 1 + 10 * (1 + 1 + 10)],
    [
      '{ items(first: 10) { ...a ... on Connection { total } } } fragment a on Connection { nodes { id } }',
      1 + 1 + 10 + 1,
    ],
  ])('%s is %i', (query, expected) => {
    expect(cost(query)).toBe(expected)
  })

  it('goes by the variables, their defaults, and the default of the argument', () => {
    const query = 'query ($n: Int = 7) { items(first: $n) { nodes { id } } }'
    expect(cost(query, { n: 30 })).toBe(32)
    expect(cost(query)).toBe(9)
    expect(cost('query ($n: Int) { items(first: $n) { nodes { id } } }')).toBe(52)
    expect(cost(query, { n: 'rubbish' })).toBe(52)
  })

  it('is found in time that grows with the document, whatever its fragments multiply to', () => {
    const fragments = Array.from({ length: 40 }, (_, n) => `fragment f${n} on Item { ...f${n + 1} ...f${n + 1} }`).join(
      ' ',
    )
    expect(cost(`{ one { ...f0 } } ${fragments} fragment f40 on Item { id }`)).toBe(1 + 2 ** 40)
  })
})

describe('the limit', () => {
  const check = createCostLimit(schema)
  const run = (query: ReturnType<typeof parse>, variables: Record<string, unknown>) =>
    check(query, getOperationAST(query)!, variables)

  it('refuses by the variables of each run (QUERY_TOO_COMPLEX)', () => {
    const query = parse('query ($n: Int!) { items(first: 500) { nodes { items(first: $n) { nodes { id } } } } }')
    expect(() => run(query, { n: 10 })).not.toThrow()
    expect(() => run(query, { n: 500 })).toThrow(DomainError)
    expect(() => run(query, { n: 10 })).not.toThrow()
  })
})
