import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findUnsafeInteger, type JsonValue } from './canonical-json.js'
import { JSON_FAULTS_MAX, numberFault, scanJson } from './strict-json.js'

const paths = (text: string): string[] => scanJson(text).faults.map(({ path }) => path)

describe('the scan of a JSON text', () => {
  it('finds in what was written from values only integers beyond 2^53', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        const first = scanJson(JSON.stringify(value, null, indent)).faults[0]
        expect(first === undefined).toBe(findUnsafeInteger(value as JsonValue) === null)
      }),
    )
  })

  it('names a fault by its path', () => {
    const text = '{"variables":{"input":{"events":[{},{"payload":{"a":1}},{"payload":{"amount":9007199254740993}}]}}}'
    expect(scanJson(text).faults).toEqual([
      {
        path: 'variables.input.events[2].payload.amount',
        message: 'is an integer beyond ±(2^53 − 1); send it as a string.',
      },
    ])
    expect(paths('[0,[1,2e999]]')).toEqual(['[1][1]'])
  })

  it.each<[string, string[]]>([
    ['{"a":1,"a":1}', ['a']],
    ['{"a":{"b":1,"c":2,"b":3}}', ['a.b']],
    ['{"a":1,"\\u0061":2}', ['a']],
    ['{"\\"":1,"\\u0022":2}', ['"']],
    ['[{"a":1},{"a":1}]', []],
    ['{"a":{"a":{"a":1}}}', []],
    ['{"a":"a","b":"a"}', []],
    ['{"a":["a","a"],"b":1}', []],
    ['{ "a" : 1 , "b" : [ ] , "a" : 2 }', ['a']],
    ['{"__proto__":1,"__proto__":2}', ['__proto__']],
    ['{"":1,"":2}', ['']],
    ['{"a":{"x":1},"a":{"x":1,"x":2}}', ['a', 'a.x']],
    ['{"a":"{\\"b\\":1,\\"b\\":2}"}', []],
  ])('of %s finds names given twice at %j', (text, expected) => {
    expect(() => JSON.parse(text) as unknown).not.toThrow()
    expect(paths(text)).toEqual(expected)
  })

  it('finds a name given twice among many', () => {
    const names = Array.from({ length: 2000 }, (_, i) => `"k${i}":${i}`)
    expect(paths(`{${names.join()}}`)).toEqual([])
    expect(paths(`{${names.join()},"k7":0,"k1999":0}`)).toEqual(['k7', 'k1999'])
  })

  it.each([
    '0',
    '-0',
    '0.0',
    '0e5',
    '1',
    '-1',
    '0.1',
    '1.50000000000000000000',
    '1e2',
    '1E-7',
    '5e-324',
    '1e21',
    '-1e300',
    '9007199254740991',
    '-9007199254740991',
    '1.7976931348623157e308',
    '0.30000000000000004',
    '100000000000000',
    '0.00000000000000000000000000001',
    '12345678901234567e-3',
  ])('lets %s pass', (literal) => {
    expect(numberFault(literal)).toBeNull()
    expect(paths(`{"n":${literal}}`)).toEqual([])
  })

  it.each([
    ['9007199254740992', 'beyond'],
    ['-9007199254740993', 'beyond'],
    ['123456789012345680000', 'beyond'],
    ['1000000000000000000000', 'beyond'],
    ['9007199254740993.0', 'beyond'],
    ['1e20', 'beyond'],
    ['1e400', 'too large'],
    ['-1e999999999', 'too large'],
    ['1e-400', 'too small'],
    ['-0.000001e-320', 'too small'],
    ['0.123456789012345678', 'significant'],
    ['3.14159265358979323846', 'significant'],
  ])('refuses %s', (literal, message) => {
    expect(numberFault(literal)).toContain(message)
    expect(paths(`{"n":[${literal}]}`)).toEqual(['n[0]'])
  })

  it('agrees with the double: what passes is printed again as the same number', () => {
    const literal = fc
      .tuple(fc.bigInt(-(10n ** 22n), 10n ** 22n), fc.integer({ min: -330, max: 310 }), fc.boolean())
      .map(([digits, exponent, plain]) => (plain ? `${digits}` : `${digits}e${exponent}`))
    fc.assert(
      fc.property(literal, (number) => {
        const value = Number(number)
        if (numberFault(number) !== null) return
        expect(Number.isFinite(value)).toBe(true)
        expect(/^-?\d+$/.test(String(value)) && !Number.isSafeInteger(value)).toBe(false)
        expect(value === 0).toBe(/^-?0*(e|$)/.test(number))
      }),
      { numRuns: 1000 },
    )
  })

  it('tells at most a hundred faults, and none at endless length', () => {
    const text = `{"${'k'.repeat(100_000)}":[${Array.from({ length: 500 }, () => '1e999').join()}]}`
    const { faults } = scanJson(text)
    expect(faults).toHaveLength(JSON_FAULTS_MAX)
    expect(Math.max(...faults.map(({ path }) => path.length))).toBeLessThan(400)
  })

  it('ends at nesting nobody needs', () => {
    expect(scanJson('['.repeat(256) + ']'.repeat(256)).faults).toEqual([])
    expect(scanJson(`{"a":${'['.repeat(300)}1e999${']'.repeat(300)}}`).faults).toMatchObject([
      { message: 'is nested too deeply.' },
    ])
  })

  it('survives whatever is no JSON', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0019eE+-. ax'), maxLength: 60 }), (text) => {
        expect(scanJson(text).faults.length).toBeLessThanOrEqual(JSON_FAULTS_MAX)
      }),
      { numRuns: 2000 },
    )
  })
})
