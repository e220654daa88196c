import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../kernel/canonical-json.js'
import { digestsOf, isInstant, readBody } from './body-rules.js'

const id = '0195a1b2-0001-7abc-8def-000000000001'
const digest = (byte: number): string => Buffer.alloc(32, byte).toString('base64')
const members = {
  action: 'user.login',
  category: 'auth',
  company: id,
  digests: [digest(1), digest(2)],
  id,
  occurredAt: '2026-03-01T12:00:00.000Z',
  project: null,
  receivedAt: '2026-03-01T12:00:00.120Z',
  region: 'EU',
  targetType: null,
  v: 1,
  workspace: id,
}
const read = (changes: object): ReturnType<typeof readBody> => readBody(canonicalJson({ ...members, ...changes }))

describe('reading a body', () => {
  it.each([
    {},
    { digests: [] },
    { project: id, targetType: 'document' },
    { action: 'größe "a" \\ 操作', targetType: '😀' },
    { system: { somethingLater: [1, { a: null }] } },
    { region: 'CONTROL', category: 'system' },
    { action: ' !#?A[]~', occurredAt: '0001-01-01T00:00:00.000Z', receivedAt: '2024-02-29T23:59:59.999Z' },
  ])('takes %j', (changes) => {
    const body = read(changes)
    if (typeof body === 'string') throw new Error(body)
    const { digests, v, ...fields } = { ...members, ...changes }
    expect(v).toBe(1)
    expect(body.fields).toEqual(fields)
    expect(digestsOf(body)).toEqual(digests)
  })

  it.each([
    { action: '' },
    { action: 'a\u0000' },
    { category: 'x'.repeat(129) },
    { targetType: 'a@b' },
    { targetType: 7 },
    { id: id.toUpperCase() },
    { workspace: `${id} ` },
    { company: null },
    { project: '' },
    { region: 'eu' },
    { region: '' },
    { occurredAt: '2026-03-01T12:00:00Z' },
    { occurredAt: '2026-02-29T12:00:00.000Z' },
    { receivedAt: '2026-13-01T12:00:00.000Z' },
    { v: 2 },
    { v: '1' },
    { system: null },
    { system: [] },
    { system: { n: 9007199254740992 } },
    { extra: 1 },
    { digests: null },
    { system: { erasure: {} }, action: 'gdpr.erasure', category: 'system', digests: [] },
    { system: { term: { region: 'US', term: 0 } }, action: 'ledger.term' },
    { system: { term: { region: 'US', term: 2 } }, action: 'user.login' },
    { system: { term: { region: 'US', term: 2 }, more: 1 }, action: 'ledger.term' },
    { system: { keyRotation: { name: 'x' } }, action: 'ledger.key' },
  ])('refuses %j', (changes) => {
    expect(typeof read(changes)).toBe('string')
  })

  it.each<[string, unknown[]]>([
    ['out of order', [digest(2), digest(1)]],
    ['twice', [digest(1), digest(1)]],
    ['too short', [Buffer.alloc(31).toString('base64')]],
    ['in another alphabet', [digest(0xff).replace('/', '_')]],
    ['not canonical', [digest(1).replace('E=', 'F=')]],
    ['no texts', [1]],
  ])('refuses digests that are %s', (_, digests) => {
    const body = read({ digests })
    expect(typeof body === 'string' || digestsOf(body) === null).toBe(true)
  })

  it('refuses what is not the canonical notation', () => {
    const text = canonicalJson(members)
    for (const other of [` ${text}`, `${text}\n`, text.replace('"v":1', '"v":1.0'), text.replace('user', '\\u0075ser')])
      expect(typeof readBody(other)).toBe('string')
  })
})

describe('a time', () => {
  it.each(['2024-02-29', '2000-02-29', '2026-12-31', '9999-01-31', '2026-04-30'])('may be on %s', (day) => {
    expect(isInstant(`${day}T00:00:00.000Z`)).toBe(true)
  })

  it.each(['2023-02-29', '1900-02-29', '2026-04-31', '2026-00-10', '2026-01-00', '0000-01-01', '02026-01-01'])(
    'may not be on %s',
    (day) => {
      expect(isInstant(`${day}T00:00:00.000Z`)).toBe(false)
    },
  )

  it.each(['24:00:00.000Z', '23:60:00.000Z', '23:59:60.000Z', '12:00:00Z', '12:00:00.000+00:00', '12:00:00.0000Z'])(
    'may not be at %s',
    (time) => {
      expect(isInstant(`2026-01-01T${time}`)).toBe(false)
    },
  )
})
