import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../kernel/canonical-json.js'
import { contentMatcher, hasPersonalKey } from './personal-content.js'

const salt = Buffer.alloc(16)
const at = (path: string, value: JsonValue) => ({ path, value, salt })

describe('an identifier', () => {
  const mentions = contentMatcher(['u-1', 'ana@example.com', '4711081'])
  it.each<[string, JsonValue]>([
    ['itself', 'u-1'],
    ['a word of a text', 'done by u-1.'],
    ['another case', 'ANA@Example.com'],
    ['an address in brackets', 'Ana <ana@example.com>, others'],
    ['deep inside', { a: [{ b: 'ana@example.com' }] }],
    ['a key', { 'ana@example.com': 1 }],
    ['percent-encoded', 'https://x.example/?u=ana%40example.com'],
    ['a number', { user: 4_711_081 }],
    ['part of a path', 'arn:aws:iam::1:user/u-1'],
  ])('is found as %s', (_, value) => {
    expect(mentions(at('payload.k', value))).toBe(true)
  })

  it.each<[string, JsonValue]>([
    ['a longer id', 'u-12'],
    ['a longer address before', 'joana@example.com'],
    ['a longer address with a dot', 'jo.ana@example.com'],
    ['a longer domain', 'ana@example.com.au'],
    ['a longer number', 47_110_812],
    ['nothing', null],
    ['text that is not percent-encoded', '100%'],
  ])('is not found in %s', (_, value) => {
    expect(mentions(at('payload.k', value))).toBe(false)
  })

  it('is found in the name of a member of the payload', () => {
    expect(mentions(at('payload.ana@example.com', 1))).toBe(true)
    expect(mentions(at('metadata.u-1', null))).toBe(true)
  })

  it('of a few digits is not mistaken for an amount', () => {
    const few = contentMatcher(['42'])
    expect(few(at('payload.amount', 42))).toBe(false)
    expect(few(at('payload.user', '42'))).toBe(true)
  })
})

describe('a key that names personal data', () => {
  it.each([
    at('payload.email', 'x'),
    at('payload.Customer-Email', 'x'),
    at('metadata.sourceIPAddress', '192.0.2.1'),
    at('payload.user', { first_name: 'A' }),
    at('payload.list', [{ contact: { phoneNumber: 1 } }]),
    at('changes.0', { field: 'profile.lastName', old: 'a', new: 'b' }),
  ])('is seen in $path', (disclosure) => {
    expect(hasPersonalKey(disclosure)).toBe(true)
  })

  it.each([
    at('payload.amount', 5),
    at('payload.shipment', { id: 1 }),
    at('changes.0', { field: 'state', new: 'open' }),
    at('target.id', 'x'),
    at('traceId', 'x'),
  ])('is not seen in $path', (disclosure) => {
    expect(hasPersonalKey(disclosure)).toBe(false)
  })
})
