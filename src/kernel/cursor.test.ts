import { createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cursorCodec, deriveCursorKey } from './cursor.js'
import { DomainError } from './domain-error.js'

const key = deriveCursorKey(createSecretKey(Buffer.alloc(32, 7)))
const yearOneMs = Date.parse('0001-01-01T00:00:00.000Z')
const yearTenThousandMs = Date.parse('+010000-01-01T00:00:00.000Z')
const position = fc.record({ timeMs: fc.integer({ min: yearOneMs, max: yearTenThousandMs }), uuid: fc.uuid() })
const scope = fc.record({ list: fc.string(), company: fc.uuid(), filter: fc.dictionary(fc.string(), fc.string()) })
const refuses = (read: () => unknown) => {
  try {
    read()
    return false
  } catch (error) {
    return error instanceof DomainError && error.code === 'BAD_USER_INPUT' && error.details.field === 'after'
  }
}

describe('a cursor', () => {
  it('reads back the position it was made from', () => {
    fc.assert(
      fc.property(scope, position, (of, at) => {
        expect(cursorCodec(key, of).decode(cursorCodec(key, of).encode(at), 'after')).toEqual(at)
      }),
    )
  })

  it('is refused by another list, and by another server', () => {
    fc.assert(
      fc.property(scope, scope, position, (one, other, at) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other))
        const cursor = cursorCodec(key, one).encode(at)
        expect(refuses(() => cursorCodec(key, other).decode(cursor, 'after'))).toBe(true)
        const stranger = deriveCursorKey(createSecretKey(Buffer.alloc(32, 8)))
        expect(refuses(() => cursorCodec(stranger, one).decode(cursor, 'after'))).toBe(true)
      }),
    )
  })

  it('is refused with any bit changed, cut, or longer', () => {
    fc.assert(
      fc.property(position, fc.nat(327), fc.nat(54), (at, bit, length) => {
        const codec = cursorCodec(key, { list: 'l' })
        const cursor = codec.encode(at)
        const bytes = Buffer.from(cursor, 'base64url')
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        expect(refuses(() => codec.decode(bytes.toString('base64url'), 'after'))).toBe(true)
        expect(refuses(() => codec.decode(cursor.slice(0, length), 'after'))).toBe(true)
        expect(refuses(() => codec.decode(`${cursor}A`, 'after'))).toBe(true)
      }),
    )
  })

  it('is refused whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(refuses(() => cursorCodec(key, 'x').decode(text, 'after'))).toBe(true)
      }),
    )
  })
})
