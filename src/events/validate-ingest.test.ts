import { describe, expect, test } from 'vitest'
import { canonicalJson, type JsonObject, type JsonValue } from '../kernel/canonical-json.js'
import { DomainError } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { FAULTS_MAX } from './fault-list.js'
import type { IngestInput } from './ingest-input.js'
import {
  EVENTS_PER_CALL_MAX,
  IDENTIFIER_CHARACTERS_MAX,
  JSON_BYTES_MAX,
  OCCURRED_AT_AHEAD_MS_MAX,
  validateIngestEvent,
  validateIngestEvents,
} from './validate-ingest.js'

const now = new Date('2026-05-01T12:00:00.000Z')
const minimal: IngestInput = { action: 'user.login', category: 'auth' }
const parsed = (text: string): JsonObject => JSON.parse(text) as JsonObject

function failureOf(run: () => unknown): DomainError {
  try {
    run()
  } catch (error) {
    if (error instanceof DomainError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

/** An object that nests `levels` deep, itself being the first level. */
function nested(levels: number): JsonObject {
  let value: JsonObject = {}
  for (let level = 1; level < levels; level++) value = { a: value }
  return value
}
/** A payload whose canonical form has exactly this many bytes. */
const sized = (bytes: number): JsonObject => ({ k: 'x'.repeat(bytes - 8) })
const ahead = (ms: number): Date => new Date(now.getTime() + OCCURRED_AT_AHEAD_MS_MAX + ms)

const refused: readonly (readonly [string, Partial<IngestInput>, string])[] = [
  ['an empty action', { action: '' }, 'action'],
  ['a blank action', { action: '   ' }, 'action'],
  ['an action of 129 characters', { action: 'a'.repeat(129) }, 'action'],
  ['an action of 129 emoji', { action: '😀'.repeat(129) }, 'action'],
  ['an action with @', { action: 'mail.ada@example.com' }, 'action'],
  ['an action with a line feed', { action: 'user\nlogin' }, 'action'],
  ['an action with a tab', { action: 'user\tlogin' }, 'action'],
  ['an action with NUL', { action: 'user\0login' }, 'action'],
  ['an action with DEL', { action: 'user\u007flogin' }, 'action'],
  ['an action with a zero-width space', { action: 'user\u200blogin' }, 'action'],
  ['an action that changes direction', { action: 'user\u202elogin' }, 'action'],
  ['an action with a line separator', { action: 'user\u2028login' }, 'action'],
  ['an action with a lone surrogate', { action: 'user\ud800' }, 'action'],
  ['an action that begins with gdpr.', { action: 'gdpr.erasure' }, 'action'],
  ['an action that begins with ledger.', { action: 'ledger.term' }, 'action'],
  ['an empty category', { category: '' }, 'category'],
  ['the category system', { category: 'system' }, 'category'],
  ['a category with @', { category: '@' }, 'category'],
  ['a category of 129 characters', { category: 'c'.repeat(129) }, 'category'],
  ['a category with a control character', { category: 'a\u0085b' }, 'category'],
  ['an empty target type', { target: { type: '' } }, 'target.type'],
  ['a target type with @', { target: { type: 'a@b' } }, 'target.type'],
  ['a target type of 129 characters', { target: { type: 't'.repeat(129) } }, 'target.type'],
  ['an empty actor id', { actor: { id: '' } }, 'actor.id'],
  ['an actor id of 256 characters', { actor: { id: 'i'.repeat(256) } }, 'actor.id'],
  ['an actor id with NUL', { actor: { id: 'a\0' } }, 'actor.id'],
  ['an actor id with a lone surrogate', { actor: { id: '\udc00' } }, 'actor.id'],
  ['an empty e-mail address', { actor: { email: '' } }, 'actor.email'],
  ['an e-mail address without @', { actor: { email: 'ada' } }, 'actor.email'],
  ['an e-mail address without a local part', { actor: { email: '@example.com' } }, 'actor.email'],
  ['an e-mail address without a domain', { actor: { email: 'ada@' } }, 'actor.email'],
  ['an e-mail address with two @', { actor: { email: 'ada@b@example.com' } }, 'actor.email'],
  ['an e-mail address with a blank', { actor: { email: 'ada love@example.com' } }, 'actor.email'],
  ['an e-mail address with an empty label', { actor: { email: 'ada@example..com' } }, 'actor.email'],
  ['an e-mail address that ends in a dot', { actor: { email: 'ada@example.' } }, 'actor.email'],
  ['an e-mail address with a line feed', { actor: { email: 'ada@example.com\n' } }, 'actor.email'],
  ['an e-mail address of 256 characters', { actor: { email: `${'a'.repeat(244)}@example.com` } }, 'actor.email'],
  ['an actor name of 256 characters', { actor: { name: 'n'.repeat(256) } }, 'actor.name'],
  ['an actor name with NUL', { actor: { name: '\0' } }, 'actor.name'],
  ['an empty target id', { target: { id: '' } }, 'target.id'],
  ['a target id of 256 characters', { target: { id: 't'.repeat(256) } }, 'target.id'],
  ['an empty project id', { projectId: '' }, 'projectId'],
  ['a project id that is none', { projectId: 'prj_x' }, 'projectId'],
  ['a project id of another kind', { projectId: encodeId('workspace', newUuid()) }, 'projectId'],
  ['a plain UUID as project id', { projectId: newUuid() }, 'projectId'],
  ['a payload that is an array', { payload: [] as unknown as JsonObject }, 'payload'],
  ['a payload that is a text', { payload: 'x' as unknown as JsonObject }, 'payload'],
  ['NUL in a payload value', { payload: { a: { b: 'x\0' } } }, 'payload.a.b'],
  ['NUL in a payload key', { payload: { 'a\0': 1 } }, 'payload.a\\0'],
  ['a lone surrogate in a payload value', { payload: { a: ['\ud800'] } }, 'payload.a[0]'],
  ['a lone surrogate in a payload key', { payload: { 'a\ud800': 1 } }, 'payload.a\ufffd'],
  ['an infinite number', { payload: parsed('{"a": 1e400}') }, 'payload.a'],
  ['2^53', { payload: parsed('{"a": 9007199254740992}') }, 'payload.a'],
  ['−2^53', { payload: parsed('{"a": [-9007199254740992]}') }, 'payload.a[0]'],
  ['1e20, whose digits would all be written', { payload: parsed('{"a": 1e20}') }, 'payload.a'],
  ['a payload 33 levels deep', { payload: nested(33) }, 'payload'],
  ['a payload 5000 levels deep', { payload: nested(5000) }, 'payload'],
  ['a payload of 64 KiB and a byte', { payload: sized(JSON_BYTES_MAX + 1) }, 'payload'],
  ['a payload too large in UTF-8 only', { payload: { k: '€'.repeat(JSON_BYTES_MAX / 3) } }, 'payload'],
  ['what JSON has not', { payload: { a: undefined } as unknown as JsonObject }, 'payload.a'],
  ['a __proto__ member with NUL', { payload: parsed('{"__proto__": "\\u0000"}') }, 'payload.__proto__'],
  ['metadata that is an array', { metadata: [] as unknown as JsonObject }, 'metadata'],
  ['NUL in metadata', { metadata: { a: '\0' } }, 'metadata.a'],
  ['metadata 33 levels deep', { metadata: nested(33) }, 'metadata'],
  ['metadata of more than 64 KiB', { metadata: sized(JSON_BYTES_MAX + 1) }, 'metadata'],
  [
    'payload and metadata of more than 64 KiB together',
    { payload: sized(30_000), metadata: sized(35_537) },
    'metadata',
  ],
  ['an empty changed field', { changes: [{ field: '' }] }, 'changes[0].field'],
  ['a changed field of 256 characters', { changes: [{ field: 'ok' }, { field: 'f'.repeat(256) }] }, 'changes[1].field'],
  ['NUL in an old value', { changes: [{ field: 'f', old: '\0' }] }, 'changes[0].old'],
  ['an unsafe integer in a new value', { changes: [{ field: 'f', new: { a: 2 ** 53 } }] }, 'changes[0].new.a'],
  ['a change 33 levels deep', { changes: [{ field: 'f', new: nested(31) }] }, 'changes[0].new'],
  ['changes of more than 64 KiB', { changes: [{ field: 'f', old: 'x'.repeat(JSON_BYTES_MAX) }] }, 'changes'],
  ['more than 5 minutes ahead', { occurredAt: ahead(1) }, 'occurredAt'],
  ['a time that is none', { occurredAt: new Date(NaN) }, 'occurredAt'],
  ['the year 0', { occurredAt: new Date('0000-12-31T23:59:59.999Z') }, 'occurredAt'],
  ['the year 10000', { occurredAt: new Date('+010000-01-01T00:00:00.000Z') }, 'occurredAt'],
  ['an empty trace id', { traceId: '' }, 'traceId'],
  ['a trace id of 256 characters', { traceId: 't'.repeat(256) }, 'traceId'],
  ['an empty idempotency key', { idempotencyKey: '' }, 'idempotencyKey'],
  ['an idempotency key of 256 characters', { idempotencyKey: 'k'.repeat(256) }, 'idempotencyKey'],
  ['an idempotency key with NUL', { idempotencyKey: '\0' }, 'idempotencyKey'],
]

test.each(refused)('refuses %s', (_, part, field) => {
  const single = failureOf(() => validateIngestEvent({ ...minimal, ...part }, now))
  expect(single.code).toBe('BAD_USER_INPUT')
  expect(single.details.field).toBe(field)
  expect(single.details.faults).toHaveLength(1)
  const inputs = [minimal, minimal, minimal, { ...minimal, ...part }]
  const batch = failureOf(() =>
    validateIngestEvents(
      inputs,
      inputs.map(() => now),
    ),
  )
  expect(batch.details.field).toBe(`events[3].${field}`)
})

const accepted: readonly (readonly [string, Partial<IngestInput>])[] = [
  ['nothing but action and category', {}],
  ['an action of 128 characters', { action: 'a'.repeat(128) }],
  ['an action of 128 emoji', { action: '😀'.repeat(128) }],
  ['an action with a blank and letters of any script', { action: 'ユーザー ログイン' }],
  ['actions that only look like ours', { action: 'gdprish' }],
  ['GDPR in capitals', { action: 'GDPR.export' }],
  [
    'ids of 255 characters',
    { actor: { id: 'i'.repeat(255) }, target: { id: 't'.repeat(255) }, traceId: 'x'.repeat(255) },
  ],
  ['255 emoji', { actor: { name: '😀'.repeat(IDENTIFIER_CHARACTERS_MAX) } }],
  ['an empty name', { actor: { name: '' } }],
  ['an address in capitals', { actor: { email: 'Ada.Lovelace+audit@Example.COM' } }],
  ['an address of a machine', { actor: { email: 'root@localhost' } }],
  ['an actor that says nothing', { actor: {} }],
  [
    'nulls',
    { actor: null, target: null, payload: null, metadata: null, changes: null, occurredAt: null, traceId: null },
  ],
  ['empty JSON', { payload: {}, metadata: {}, changes: [] }],
  ['an empty key', { payload: { '': 1 } }],
  ['±(2^53 − 1)', { payload: { a: Number.MAX_SAFE_INTEGER, b: Number.MIN_SAFE_INTEGER } }],
  ['1e21, which has no digits to lose', { payload: parsed('{"a": 1e21}') }],
  ['1e-7 and −0', { payload: parsed('{"a": 1e-7, "b": -0}') }],
  ['32 levels', { payload: nested(32), metadata: nested(32), changes: [{ field: 'f', old: nested(30) }] }],
  ['exactly 64 KiB', { payload: sized(JSON_BYTES_MAX) }],
  ['exactly 64 KiB together', { payload: sized(30_000), metadata: sized(35_536) }],
  ['5 minutes ahead', { occurredAt: ahead(0) }],
  ['the first moment of year 1', { occurredAt: new Date('0001-01-01T00:00:00.000Z') }],
  ['a time long past', { occurredAt: new Date('1970-01-01T00:00:00.000Z') }],
]
test.each(accepted)('accepts %s', (_, part) => {
  expect(validateIngestEvent({ ...minimal, ...part }, now)).toMatchObject({ action: part.action ?? 'user.login' })
})

describe('faults', () => {
  test('all of them are named, in the order of the fields', () => {
    const error = failureOf(() =>
      validateIngestEvent(
        { action: '', category: 'system', actor: { email: 'x' }, payload: { a: '\0' }, traceId: '' },
        now,
      ),
    )
    expect(error.details.faults?.map((fault) => fault.field)).toEqual([
      'action',
      'category',
      'actor.email',
      'payload.a',
      'traceId',
    ])
    expect(error.details.field).toBe('action')
  })

  test('at most 100 of them', () => {
    const inputs = Array.from({ length: 1000 }, () => ({ action: '', category: '' }))
    const error = failureOf(() =>
      validateIngestEvents(
        inputs,
        inputs.map(() => now),
      ),
    )
    expect(error.details.faults).toHaveLength(FAULTS_MAX)
    expect(error.details.faults?.at(-1)?.field).toBe('events[49].category')
  })

  test('those of the text come first', () => {
    const text = [{ field: 'payload.a', message: 'is there twice.' }]
    const error = failureOf(() => validateIngestEvent({ ...minimal, category: '' }, now, text))
    expect(error.details.faults?.map((fault) => fault.field)).toEqual(['payload.a', 'category'])
    expect(failureOf(() => validateIngestEvents([minimal], [now], text)).details.field).toBe('payload.a')
  })

  test('a message never repeats a value, and a field stays short', () => {
    const error = failureOf(() =>
      validateIngestEvent({ ...minimal, payload: { ['k'.repeat(50_000)]: 'secret\0' } }, now),
    )
    expect(JSON.stringify(error.details)).not.toContain('secret')
    expect(error.details.field!.length).toBeLessThan(250)
  })
})

test.each([0, EVENTS_PER_CALL_MAX + 1])('refuses a call with %i events', (count) => {
  const inputs = Array.from({ length: count }, () => minimal)
  const times = inputs.map(() => now)
  expect(failureOf(() => validateIngestEvents(inputs, times)).details.field).toBe('events')
})

test('accepts a call with 1000 events', () => {
  const inputs = Array.from({ length: EVENTS_PER_CALL_MAX }, () => minimal)
  expect(
    validateIngestEvents(
      inputs,
      inputs.map(() => now),
    ),
  ).toHaveLength(EVENTS_PER_CALL_MAX)
})

describe('the text that a repeat must agree with', () => {
  const contentOf = (part: Partial<IngestInput>): string =>
    validateIngestEvent({ ...minimal, ...part }, now).contentText
  const full: IngestInput = {
    ...minimal,
    actor: { id: 'u', email: 'Ada@example.com', name: 'Ada' },
    target: { id: 't', type: 'doc' },
    projectId: encodeId('project', newUuid()),
    payload: { b: [1, { d: 1, c: null }], a: 'é' },
    metadata: { x: 1.5 },
    changes: [{ field: 'f', old: null, new: { z: 1, y: 2 } }, { field: 'g' }],
    occurredAt: new Date('2026-01-02T03:04:05.678Z'),
    traceId: 'trace',
    idempotencyKey: 'k',
  }

  test('is the canonical JSON of the input without its key', () => {
    const { idempotencyKey: _, ...rest } = full
    const text = contentOf(full)
    expect(text).toBe(canonicalJson({ ...rest, occurredAt: '2026-01-02T03:04:05.678Z' }))
  })

  test('does not depend on the order of members, nor on null or absent', () => {
    expect(contentOf({ payload: { b: 1, a: { d: 1, c: 2 } } })).toBe(
      contentOf({ payload: { a: { c: 2, d: 1 }, b: 1 } }),
    )
    expect(contentOf({ actor: null, traceId: null })).toBe(contentOf({}))
  })

  test.each<readonly [string, Partial<IngestInput>]>([
    ['action', { action: 'other' }],
    ['actor', { actor: { id: 'v' } }],
    ['e-mail', { actor: { ...full.actor, email: 'ada@example.com' } }],
    ['target', { target: { id: 't' } }],
    ['payload', { payload: { a: 'e' } }],
    ['change', { changes: [{ field: 'f', new: { z: 1, y: 2 } }, { field: 'g' }] }],
    ['time', { occurredAt: new Date('2026-01-02T03:04:05.679Z') }],
    ['trace', { traceId: null }],
  ])('differs where the %s does', (_, part) => {
    expect(contentOf({ ...full, ...part })).not.toBe(contentOf(full))
  })

  test('an own __proto__ member is content like any other, and nobody is polluted', () => {
    const payload = parsed('{"__proto__": {"polluted": true}, "constructor": 1}')
    expect(contentOf({ payload })).toContain('"payload":{"__proto__":{"polluted":true},"constructor":1}')
    expect(({} as Record<string, JsonValue>)['polluted']).toBeUndefined()
  })
})
