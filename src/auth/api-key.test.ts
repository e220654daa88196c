import { describe, expect, it } from 'vitest'
import { newSecretKey } from '../sealing/secret-box.js'
import { apiKeyHmac, apiKeyPrefix, isWellFormedApiKey, newApiKey, randomBase62 } from './api-key.js'

describe('an API key', () => {
  it('says its scope and holds at least 190 bits of randomness', () => {
    expect(newApiKey('COMPANY')).toMatch(/^hlk_co_[0-9A-Za-z]{32,}_[0-9A-Za-z]{6}$/)
    expect(newApiKey('WORKSPACE')).toMatch(/^hlk_ws_[0-9A-Za-z]{32,}_[0-9A-Za-z]{6}$/)
    expect(newApiKey('COMPANY')).not.toBe(newApiKey('COMPANY'))
  })

  it('is recognised, and by its prefix too, which gives nothing away', () => {
    const key = newApiKey('WORKSPACE')
    expect(isWellFormedApiKey(key)).toBe(true)
    expect(apiKeyPrefix(key)).toMatch(/^hlk_ws_[0-9A-Za-z]{6}$/)
    expect(key.startsWith(apiKeyPrefix(key))).toBe(true)
  })

  it('is refused with any one character changed', () => {
    const key = newApiKey('COMPANY')
    for (let at = 0; at < key.length; at++) {
      const altered = key.slice(0, at) + (key[at] === 'x' ? 'y' : 'x') + key.slice(at + 1)
      expect(isWellFormedApiKey(altered), altered).toBe(false)
    }
  })

  it.each([
    ['nothing', ''],
    ['another prefix', 'sk_live_4242424242424242424242424242424242424242_000000'],
    ['another scope', newApiKey('COMPANY').replace('hlk_co', 'hlk_xx')],
    ['no checksum', newApiKey('COMPANY').slice(0, -7)],
    ['a blank at its end', `${newApiKey('COMPANY')} `],
    ['a line break at its end', `${newApiKey('COMPANY')}\n`],
    ['another scope with the old checksum', newApiKey('COMPANY').replace('hlk_co', 'hlk_ws')],
    ['a megabyte', `hlk_co_${'a'.repeat(1_000_000)}_aaaaaa`],
  ])('is refused with %s', (_, text) => {
    expect(isWellFormedApiKey(text)).toBe(false)
  })

  it('is stored as an HMAC that another pepper does not give', () => {
    const key = newApiKey('COMPANY')
    const pepper = newSecretKey()
    expect(apiKeyHmac(pepper, key)).toHaveLength(32)
    expect(apiKeyHmac(pepper, key)).toEqual(apiKeyHmac(pepper, key))
    expect(apiKeyHmac(newSecretKey(), key)).not.toEqual(apiKeyHmac(pepper, key))
  })

  it('draws its characters evenly', () => {
    const counts = new Map<string, number>()
    for (const char of randomBase62(62_000)) counts.set(char, (counts.get(char) ?? 0) + 1)
    expect(counts.size).toBe(62)
    // 1000 each is expected, with a standard deviation of 31.
    for (const [char, count] of counts) expect(Math.abs(count - 1_000), char).toBeLessThan(250)
  })
})
