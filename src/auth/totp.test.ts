import { expect, test } from 'vitest'
import { acceptedStep, base32Text, totpCode, totpStep, totpUri } from './totp.js'

// RFC 6238, appendix B; its codes have eight digits, ours are the last six of them.
const secret = Buffer.from('12345678901234567890')
const vectors: readonly (readonly [seconds: number, code: string])[] = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
]

test.each(vectors)('gives the code of RFC 6238 at %i s', (seconds, code) => {
  expect(totpCode(secret, totpStep(new Date(seconds * 1000)))).toBe(code)
})

test('takes the codes of the step before and after, and of no other', () => {
  const now = new Date(1_111_111_111_000)
  const step = totpStep(now)
  const accepts = (offset: number) => acceptedStep(secret, totpCode(secret, step + offset), now, 0)
  expect([-2, -1, 0, 1, 2].map(accepts)).toEqual([null, step - 1, step, step + 1, null])
})

test('refuses a code that was taken, and those before it', () => {
  const now = new Date(1_111_111_111_000)
  const step = totpStep(now)
  expect(acceptedStep(secret, totpCode(secret, step), now, step)).toBeNull()
  expect(acceptedStep(secret, totpCode(secret, step - 1), now, step)).toBeNull()
  expect(acceptedStep(secret, totpCode(secret, step + 1), now, step)).toBe(step + 1)
})

test('refuses what is no code', () => {
  for (const text of ['', '12345', '1234567', '12345a', '１２３４５６'])
    expect(acceptedStep(secret, text, new Date(), 0)).toBeNull()
})

test('spells secrets as RFC 4648 does', () => {
  expect(base32Text(Buffer.from('foobar'))).toBe('MZXW6YTBOI')
  expect(base32Text(Buffer.from('fooba'))).toBe('MZXW6YTB')
  expect(totpUri(secret, 'olivia@acme.example')).toContain('secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ')
})
