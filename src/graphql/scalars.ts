import { GraphQLScalarType, Kind, type ValueNode, valueFromASTUntyped } from 'graphql'
import type { JsonObject, JsonValue } from '../kernel/canonical-json.js'
import { numberFault } from '../kernel/strict-json.js'

// graphql-scalars has most of these, but coerces: its DateTime takes what Date.parse takes, and its JSON literals keep
// the last of two members of one name. An audit log records what was sent or refuses it.

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/
const CANONICAL_LENGTH = '2026-03-01T12:00:00.000Z'.length
const yearOneMs = Date.parse('0001-01-01T00:00:00.000Z')
const daysIn = (year: number, month: number) => new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate()

/**
 * The instant of an RFC 3339 text, cut to milliseconds; null where it is none. Years 0001 to 9999 in UTC; no leap
 * seconds, which a `Date` can't hold.
 */
export function parseInstant(text: string): Date | null {
  // What clients mostly send is what we would write ourselves, and then there is nothing more to check.
  if (text.length === CANONICAL_LENGTH && text.endsWith('Z')) {
    const instant = new Date(text)
    if (instant.getTime() >= yearOneMs && instant.toISOString() === text) return instant
  }
  const match = rfc3339.exec(text)
  if (match === null) return null
  const [, year, month, day, hour, minute, second] = match.map(Number) as [number, ...number[]]
  if (month! < 1 || month! > 12 || day! < 1 || day! > daysIn(year!, month!)) return null
  if (hour! > 23 || minute! > 59 || second! > 59) return null
  const zone = match[8]!.toUpperCase()
  if (zone !== 'Z' && (Number(zone.slice(1, 3)) > 23 || Number(zone.slice(4)) > 59)) return null
  const fraction = (match[7] ?? '').padEnd(3, '0').slice(0, 3)
  const instant = new Date(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}.${fraction}${zone}`)
  const utcYear = instant.getUTCFullYear()
  return utcYear >= 1 && utcYear <= 9999 ? instant : null
}

function instantOf(value: unknown): Date {
  const instant = typeof value === 'string' ? parseInstant(value) : null
  if (instant === null) throw new TypeError('must be an RFC 3339 instant such as 2026-03-01T12:00:00Z.')
  return instant
}

export const DateTimeScalar = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  description: 'RFC 3339 instant, always UTC with milliseconds on output; any offset accepted on input.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339',
  serialize: (value) => (value as Date).toISOString(),
  parseValue: instantOf,
  parseLiteral: (node) => instantOf(node.kind === Kind.STRING ? node.value : null),
})

function safeInteger(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new TypeError('must be an integer within ±(2^53 − 1).')
  return value
}

export const SafeIntScalar = new GraphQLScalarType<number, number>({
  name: 'SafeInt',
  description: 'An integer within ±(2^53 − 1).',
  serialize: safeInteger,
  parseValue: safeInteger,
  parseLiteral: (node) => safeInteger(node.kind === Kind.INT ? Number(node.value) : null),
})

const hexDigest = /^[0-9a-f]{64}$/
function digestOf(value: unknown): Buffer {
  if (typeof value !== 'string' || !hexDigest.test(value))
    throw new TypeError('must be 64 lower-case hexadecimal characters.')
  return Buffer.from(value, 'hex')
}

export const Sha256Scalar = new GraphQLScalarType<Buffer, string>({
  name: 'Sha256',
  description: '64 lower-case hex characters: a SHA-256 digest.',
  serialize: (value) => (value as Buffer).toString('hex'),
  parseValue: digestOf,
  parseLiteral: (node) => digestOf(node.kind === Kind.STRING ? node.value : null),
})

function literalNumber(text: string): number {
  const fault = numberFault(text)
  if (fault !== null) throw new TypeError(`${text} ${fault}`)
  return Number(text)
}

function literalJson(node: ValueNode, variables: Record<string, unknown> | null | undefined): JsonValue {
  switch (node.kind) {
    case Kind.INT:
    case Kind.FLOAT:
      return literalNumber(node.value)
    case Kind.LIST:
      return node.values.map((item) => literalJson(item, variables))
    case Kind.OBJECT: {
      const members: Record<string, JsonValue> = {}
      for (const { name, value } of node.fields) {
        if (Object.hasOwn(members, name.value)) throw new TypeError(`the member "${name.value}" is there twice.`)
        // Defined, not assigned: "__proto__" is a member like any other.
        Object.defineProperty(members, name.value, {
          value: literalJson(value, variables),
          enumerable: true,
          configurable: true,
          writable: true,
        })
      }
      return members
    }
    case Kind.VARIABLE:
      return (variables?.[node.name.value] ?? null) as JsonValue
    case Kind.ENUM:
      throw new TypeError(`${node.value} is not JSON; strings need quotes.`)
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.NULL:
      return valueFromASTUntyped(node) as JsonValue
  }
}

function jsonObject(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('must be a JSON object.')
  return value as JsonObject
}

export const JsonScalar = new GraphQLScalarType<JsonValue, JsonValue>({
  name: 'JSON',
  description: 'Any JSON value.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  serialize: (value) => value as JsonValue,
  parseValue: (value) => value as JsonValue,
  parseLiteral: literalJson,
})

export const JsonObjectScalar = new GraphQLScalarType<JsonObject, JsonObject>({
  name: 'JSONObject',
  description: 'A JSON object.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  serialize: jsonObject,
  parseValue: jsonObject,
  parseLiteral: (node, variables) => jsonObject(literalJson(node, variables)),
})
