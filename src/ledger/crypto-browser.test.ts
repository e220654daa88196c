import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import * as browser from './crypto-browser.js'
import * as node from './crypto.js'
import { publicKeyOf } from './signing-key.js'

const anyBytes = fc.uint8Array({ maxLength: 300 })
const latin1 = anyBytes.map((bytes) => node.fromBytes(bytes))
const text = fc.string({ unit: 'grapheme' })

it('answers to every function as the platform does', () => {
  fc.assert(
    fc.property(anyBytes, latin1, text, (bytes, chars, words) => {
      expect(browser.sha256(bytes)).toBe(node.sha256(bytes))
      expect(browser.sha256(words)).toBe(node.sha256(words))
      expect(browser.sha256Base64(bytes)).toBe(node.sha256Base64(bytes))
      expect(browser.fromBytes(bytes)).toBe(node.fromBytes(bytes))
      expect([...browser.toBytes(chars)]).toEqual([...node.toBytes(chars)])
      expect(browser.toHex(chars)).toBe(node.toHex(chars))
      expect(browser.fromHex(node.toHex(chars))).toBe(chars)
      expect(browser.toBase64(chars)).toBe(node.toBase64(chars))
      expect(browser.fromBase64(node.toBase64(chars))).toBe(chars)
      expect(browser.utf8Latin1(words)).toBe(node.utf8Latin1(words))
      expect([...browser.utf8Bytes(words)]).toEqual([...node.utf8Bytes(words)])
      expect(browser.utf8Text(bytes)).toBe(node.utf8Text(bytes))
      const [own, theirs] = [browser.allocateBytes(64), node.allocateBytes(64)]
      expect(browser.writeUtf8(own, words)).toBe(node.writeUtf8(theirs, words))
    }),
  )
})

it('has every name that the platform has', () => {
  expect(Object.keys(browser).toSorted()).toEqual(Object.keys(node).toSorted())
})

it('writes integers as the platform does', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(0xffffffff), (long, short) => {
      const [own, theirs] = [browser.allocateBytes(20), node.allocateBytes(20)]
      browser.writeUint64(own, long, 1)
      node.writeUint64(theirs, long, 1)
      browser.writeUint32(own, short, 12)
      node.writeUint32(theirs, short, 12)
      expect([...own]).toEqual([...theirs])
    }),
  )
})

it('verifies a signature, and refuses each with a bit turned, and keys that are none', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const key = node.fromBytes(publicKeyOf(privateKey))
  const signature = node.fromBytes(sign(null, Buffer.from('a message'), privateKey))
  expect(browser.verifyEd25519(key, 'a message', signature)).toBe(true)
  expect(browser.verifyEd25519(key, 'another', signature)).toBe(false)
  expect(browser.verifyEd25519('\xff'.repeat(32), 'a message', signature)).toBe(false)
  for (let at = 0; at < 64; at++) {
    const turned = signature.slice(0, at) + String.fromCharCode(signature.charCodeAt(at) ^ 1) + signature.slice(at + 1)
    expect(browser.verifyEd25519(key, 'a message', turned)).toBe(false)
    expect(node.verifyEd25519(key, 'a message', turned)).toBe(false)
  }
})
