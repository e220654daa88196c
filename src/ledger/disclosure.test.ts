import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type JsonObject } from '../kernel/canonical-json.js'
import { randomBytes } from '../kernel/random.js'
import { buildBody, disclosuresOf, fieldsOf, isLabel } from './index.js'

const salt = (): Buffer => randomBytes(16)

describe('disclosures', () => {
  it('are one for each field that was given, and none for what was not', () => {
    const paths = (fields: Parameters<typeof disclosuresOf>[0]): string[] =>
      disclosuresOf(fields, salt).map(({ path }) => path)
    expect(paths({})).toEqual([])
    expect(paths({ actor: null, target: {}, payload: {}, metadata: null, changes: [], traceId: null })).toEqual([])
    expect(paths({ actor: { id: 'u', email: null }, target: { id: 'd' }, traceId: 't' })).toEqual([
      'actor.id',
      'target.id',
      'traceId',
    ])
    expect(paths({ payload: { '': 1, 'a.b': {}, __proto__: 1 }, metadata: { n: null } })).toEqual([
      'payload.',
      'payload.a.b',
      'metadata.n',
    ])
  })

  it('leave out members of a change that were not sent, and keep a null that was', () => {
    const changes = [{ field: 'a' }, { field: 'b', old: null }, { field: 'c', old: 1, new: [2] }]
    expect(disclosuresOf({ changes }, salt).map(({ value }) => canonicalJson(value))).toEqual([
      '{"field":"a"}',
      '{"field":"b","old":null}',
      '{"field":"c","new":[2],"old":1}',
    ])
  })

  it('give back the fields they were made of', () => {
    const text = fc.string({ unit: 'grapheme' })
    const object = fc.dictionary(fc.oneof(text, fc.constant('__proto__')), fc.jsonValue()) as fc.Arbitrary<JsonObject>
    fc.assert(
      fc.property(text, object, object, (id, payload, metadata) => {
        const changes = Array.from({ length: 12 }, (_, i) => ({ field: `f${i}`, new: i }))
        const disclosures = disclosuresOf({ actor: { id }, payload, metadata, changes, traceId: id }, salt)
        const back = fieldsOf(disclosures.toReversed())
        expect(back.actor).toEqual({ id, email: null, name: null })
        expect(back.targetId).toBeNull()
        expect(back.changes).toEqual(changes)
        expect(canonicalJson(back.payload)).toBe(canonicalJson(payload))
        expect(canonicalJson(back.metadata ?? {})).toBe(canonicalJson(metadata))
      }),
    )
  })

  it('that are left after an erasure give what is left', () => {
    const changes = [{ field: 'a' }, { field: 'b' }]
    const all = disclosuresOf({ actor: { id: 'u' }, payload: { a: 1, b: 2 }, changes }, salt)
    const left = all.filter(({ path }) => path === 'payload.b' || path === 'changes.1')
    expect(fieldsOf(left)).toEqual({
      actor: null,
      targetId: null,
      payload: { b: 2 },
      metadata: null,
      changes: [{ field: 'b' }],
      traceId: null,
    })
  })
})

describe('a body', () => {
  const id = '0195a1b2-0001-7abc-8def-000000000001'
  const at = '2026-03-01T12:00:00.000Z'
  const fields = {
    id,
    workspace: id,
    company: id,
    region: 'EU',
    project: null,
    action: 'a "b" ü',
    category: 'c',
    targetType: null,
    occurredAt: at,
    receivedAt: at,
  }

  it('is the canonical JSON of its members', () => {
    const { body } = buildBody({ ...fields, system: { b: 1, a: [] } }, disclosuresOf({ payload: { a: 1, b: 2 } }, salt))
    const text = body.toString('utf8')
    expect(canonicalJson(JSON.parse(text))).toBe(text)
  })

  it('is as long as it must be, not as long as a buffer', () => {
    const payload = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`key${i}`, 'x'.repeat(i * 7)]))
    const { body } = buildBody(fields, disclosuresOf({ payload }, salt))
    expect((JSON.parse(body.toString('utf8')) as { digests: string[] }).digests).toHaveLength(3000)
  })

  it('is not made of two disclosures with one path', () => {
    const twice = [...disclosuresOf({ traceId: 'a' }, salt), ...disclosuresOf({ traceId: 'b' }, salt)]
    expect(() => buildBody(fields, twice)).toThrow(/differ/)
  })
})

describe('a label', () => {
  it.each(['a', 'user.login', 's3:GetObject', 'Größe', '操作', 'a b', '😀'.repeat(128), 'x'.repeat(128)])(
    'may be %s',
    (text) => {
      expect(isLabel(text)).toBe(true)
    },
  )

  it.each([
    '',
    'x'.repeat(129),
    '😀'.repeat(129),
    'a@b',
    'a\nb',
    'a\u0000',
    'a\u0085b',
    'a\u2028b',
    'a\u202eb',
    'a\u200bb',
    'a\ud800',
  ])('may not be %j', (text) => {
    expect(isLabel(text)).toBe(false)
  })
})
