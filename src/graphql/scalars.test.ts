import { parseValue } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DateTimeScalar, JsonObjectScalar, JsonScalar, parseInstant, SafeIntScalar, Sha256Scalar } from './scalars.js'

describe('DateTime', () => {
  it.each([
    ['2026-03-01T12:00:00Z', '2026-03-01T12:00:00.000Z'],
    ['2026-03-01T12:00:00.1239999+02:00', '2026-03-01T10:00:00.123Z'],
    ['2026-03-01t12:00:00.5z', '2026-03-01T12:00:00.500Z'],
    ['2024-02-29T23:59:59-23:59', '2024-03-01T23:58:59.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('reads %s as %s', (text, iso) => {
    expect(parseInstant(text)?.toISOString()).toBe(iso)
  })
  it.each([
    '2026-03-01',
    '2026-03-01T12:00:00',
    '2026-03-01 12:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T23:59:60Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:00+24:00',
    '0000-12-31T00:00:00Z',
    '0001-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    '1900-02-29T00:00:00Z',
    '+002026-01-01T00:00:00Z',
    'now',
    '',
  ])('refuses %s', (text) => {
    expect(parseInstant(text)).toBeNull()
    expect(() => DateTimeScalar.parseValue(text)).toThrow(/RFC 3339/)
  })
  it('refuses numbers', () => {
    expect(() => DateTimeScalar.parseValue(0)).toThrow(TypeError)
    expect(() => DateTimeScalar.parseLiteral(parseValue('0'))).toThrow(TypeError)
  })
})

describe('JSON literals', () => {
  it('become the value they say', () => {
    const node = parseValue('{ a: [1, -0.5, 1e3, true, null, "x"], __proto__: { b: 1 }, constructor: 2 }')
    const value = JsonObjectScalar.parseLiteral(node)
    expect(JSON.stringify(value)).toBe('{"a":[1,-0.5,1000,true,null,"x"],"__proto__":{"b":1},"constructor":2}')
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })
  it('take variables', () => {
    expect(JsonScalar.parseLiteral(parseValue('{ a: $x, b: $y }'), { x: [1] })).toEqual({ a: [1], b: null })
  })
  it.each(['{ a: 1, a: 1 }', '9007199254740993', '[{ a: 1e999 }]', '{ a: RED }', '1e-999'])(
    'are refused: %s',
    (text) => {
      expect(() => JsonScalar.parseLiteral(parseValue(text))).toThrow(TypeError)
    },
  )
  it('are objects where an object is wanted', () => {
    for (const text of ['[1]', '"x"', 'null', '1'])
      expect(() => JsonObjectScalar.parseLiteral(parseValue(text))).toThrow(TypeError)
    expect(() => JsonObjectScalar.parseValue([])).toThrow(TypeError)
  })
})

describe('SafeInt and Sha256', () => {
  it('refuse what they are not', () => {
    expect(SafeIntScalar.parseValue(2 ** 53 - 1)).toBe(2 ** 53 - 1)
    for (const value of [2 ** 53, 1.5, '1', null, NaN]) expect(() => SafeIntScalar.parseValue(value)).toThrow(TypeError)
    const digest = 'ab'.repeat(32)
    expect(Sha256Scalar.serialize(Sha256Scalar.parseValue(digest))).toBe(digest)
    for (const value of [digest.toUpperCase(), 'ab', 1]) expect(() => Sha256Scalar.parseValue(value)).toThrow(TypeError)
  })
})
