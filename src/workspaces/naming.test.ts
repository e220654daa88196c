import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DatabaseError } from '../db/database-error.js'
import { slugFrom, storeUnderSlug, validSlug } from './naming.js'

const taken = (slugs: readonly string[]) => (slug: string) =>
  slugs.includes(slug)
    ? Promise.reject(new DatabaseError('CONTROL', 'unique_violation', 'unique violation'))
    : Promise.resolve(slug)

describe('a slug', () => {
  it.each([
    ['Acme Corp', 'acme-corp'],
    ['  Zürich & Söhne  ', 'zurich-sohne'],
    ['Ελλάς', 'company'],
    ['--a--', 'a'],
    ['x'.repeat(80), 'x'.repeat(63)],
  ])('made from %j is %s', (name, slug) => {
    expect(slugFrom(name, 'company')).toBe(slug)
  })

  it('made from any name is valid', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        expect(validSlug(slugFrom(name, 'company'), 'slug')).not.toBe('')
      }),
    )
  })

  it.each(['', 'Acme', 'a_b', '-a', 'a-', 'a b', 'x'.repeat(64), 'a\n'])('%j is refused', (slug) => {
    expect(() => validSlug(slug, 'slug')).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT' }))
  })

  it('made from a name goes around those that are taken', async () => {
    const input = { name: 'Acme', fallback: 'company' }
    expect(await storeUnderSlug(input, taken(['acme', 'acme-2']))).toBe('acme-3')
    const long = { name: 'x'.repeat(63), fallback: 'company' }
    expect(await storeUnderSlug(long, taken(['x'.repeat(63)]))).toBe(`${'x'.repeat(61)}-2`)
  })

  it('that was asked for and is taken is a CONFLICT', async () => {
    const input = { slug: 'acme', name: 'Acme', fallback: 'company' }
    await expect(storeUnderSlug(input, taken(['acme']))).rejects.toMatchObject({ code: 'CONFLICT' })
  })
})
