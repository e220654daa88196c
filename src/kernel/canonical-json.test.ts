import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CANONICAL_DEPTH_MAX,
  canonicalJson,
  findUnsafeInteger,
  type JsonValue,
  NotCanonicalError,
} from './canonical-json.js'

/** RFC 8785 as plainly as it can be written, for values JSON.parse gives. */
function naive(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(naive).join(',')}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${JSON.stringify(name)}:${naive(member)}`)
      .join(',')}}`
  return JSON.stringify(value)
}

/** The same value with its members in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, member]) => [name, shuffled(member)]),
  )
}

const text = fc.string({ unit: 'grapheme' })
const json = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.maxSafeInteger(),
    text,
    fc.array(tie('value')),
    fc.dictionary(fc.oneof(text, fc.constantFrom('__proto__', '1', '10', '2', '\ufb33', '😀')), tie('value')),
  ),
})).value

describe('canonical JSON', () => {
  it('is one text for one value, whatever the order of members', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(value)).toBe(naive(value))
        expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value))
      }),
    )
  })

  it('survives parsing: reading and writing again gives the same text', () => {
    fc.assert(
      fc.property(json, (value) => {
        const written = canonicalJson(value)
        expect(canonicalJson(JSON.parse(written))).toBe(written)
      }),
    )
  })

  it.each<[unknown, string]>([
    [-0, '0'],
    [1e21, '1e+21'],
    [1e-7, '1e-7'],
    [{ '\ufb33': 1, '😀': 2 }, '{"😀":2,"\ufb33":1}'],
    ['\u001f\u2028"', '"\\u001f\u2028\\""'],
  ])('writes %j as the RFC does', (value, written) => {
    expect(canonicalJson(value)).toBe(written)
  })

  it.each<[string, unknown, string]>([
    ['a lone surrogate', { a: ['x', '\ud800'] }, 'a[1]'],
    ['a lone surrogate in a name', { a: { '\udc00': 1 } }, 'a'],
    ['infinity', [[Infinity]], '[0][0]'],
    ['NaN', Number.NaN, ''],
    ['undefined', { a: { b: undefined } }, 'a.b'],
    ['a bigint', [1n], '[0]'],
    ['a function', () => 1, ''],
  ])('refuses %s and says where', (_, value, path) => {
    expect(() => canonicalJson(value)).toThrow(NotCanonicalError)
    expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ path }) as Error)
  })

  it('refuses endless nesting with an error of its own', () => {
    const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
    expect(canonicalJson(nested(CANONICAL_DEPTH_MAX))).toHaveLength(2 * CANONICAL_DEPTH_MAX)
    expect(() => canonicalJson(nested(CANONICAL_DEPTH_MAX + 1))).toThrow(NotCanonicalError)
    expect(() => canonicalJson(nested(100_000))).toThrow(NotCanonicalError)
  })
})

describe('unsafe integers', () => {
  it.each<[JsonValue, string | null]>([
    [{ a: [9007199254740991, -9007199254740991, 1e21, 0.5, 'x', null] }, null],
    [{ a: [1, { b: 9007199254740992 }] }, 'a[1].b'],
    [-123456789012345680000, ''],
    [[999999999999999900000], '[0]'],
  ])('in %j are at %j', (value, path) => {
    expect(findUnsafeInteger(value)).toBe(path)
  })
})
