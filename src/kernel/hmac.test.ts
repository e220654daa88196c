import { createHmac, createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hmacSha256 } from './hmac.js'

const keys = fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => createSecretKey(bytes))
const expected = (key: ReturnType<typeof createSecretKey>, text: string): string =>
  createHmac('sha256', key).update(text).digest('hex')

test('it is HMAC-SHA-256, whatever the lengths of key and message', () => {
  fc.assert(
    fc.property(keys, fc.array(fc.string({ unit: 'binary' }), { maxLength: 4 }), (key, texts) => {
      for (const text of texts) expect(hmacSha256(key, text).toString('hex')).toBe(expected(key, text))
    }),
  )
  const key = createSecretKey(Buffer.alloc(32, 7))
  for (const length of [0, 1, 55, 56, 63, 64, 1364, 1365, 1366, 4096, 5000, 70_000])
    for (const unit of ['a', 'ä', '€', '\ud800'])
      expect(hmacSha256(key, unit.repeat(length)).toString('hex')).toBe(expected(key, unit.repeat(length)))
})

test('RFC 4231, test case 2', () => {
  const digest = hmacSha256(createSecretKey(Buffer.from('Jefe')), 'what do ya want for nothing?')
  expect(digest.toString('hex')).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
})

test('an answer stays as it is when the next is made', () => {
  const key = createSecretKey(Buffer.alloc(32, 1))
  const first = hmacSha256(key, 'a')
  const kept = first.toString('hex')
  hmacSha256(key, 'b')
  expect(first.toString('hex')).toBe(kept)
})
