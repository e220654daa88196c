import fc from 'fast-check'
import { createDecipheriv } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type JsonValue } from '../kernel/canonical-json.js'
import { newUuid } from '../kernel/ids.js'
import { blobKeyId, open, seal, type BlobContext, type SealingKey } from './sealed-blob.js'
import { newSecretKey, SealBrokenError } from './secret-box.js'

const key: SealingKey = { id: newUuid(), key: newSecretKey() }
const context: BlobContext = { workspaceId: newUuid(), eventId: newUuid(), blob: 'identity' }
const disclosures = [
  { path: 'actor.email', value: 'ada@example.com', salt: Buffer.alloc(16, 1) },
  { path: 'actor.name', value: 'Ada', salt: Buffer.alloc(16, 2) },
]

describe('a sealed blob', () => {
  it('has the bytes that are documented', () => {
    const blob = seal(key, context, disclosures)
    expect(blob[0]).toBe(1)
    expect(blob.subarray(1, 17).toString('hex')).toBe(key.id.replaceAll('-', ''))
    const decipher = createDecipheriv('aes-256-gcm', key.key, blob.subarray(17, 29))
    decipher.setAAD(Buffer.from(`${context.workspaceId}${context.eventId}identity`))
    decipher.setAuthTag(blob.subarray(-16))
    const text = Buffer.concat([decipher.update(blob.subarray(29, -16)), decipher.final()]).toString('utf8')
    expect(text).toBe(
      '[["actor.email","ada@example.com","AQEBAQEBAQEBAQEBAQEBAQ=="],["actor.name","Ada","AgICAgICAgICAgICAgICAg=="]]',
    )
  })

  it('gives back what was sealed, and the id of its key', () => {
    const blob = seal(key, context, disclosures)
    expect(open(key.key, context, blob)).toEqual(disclosures)
    expect(blobKeyId(blob)).toBe(key.id)
  })

  it('gives back any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'grapheme' }), (value, path) => {
        const salt = Buffer.alloc(16, 3)
        const [opened] = open(key.key, context, seal(key, context, [{ path, value: value as JsonValue, salt }]))
        expect(opened!.path).toBe(path)
        expect(canonicalJson(opened!.value)).toBe(canonicalJson(value))
      }),
    )
  })

  it('never seals twice with one nonce', () => {
    const nonces = Array.from({ length: 200 }, () => seal(key, context, disclosures).subarray(17, 29).toString('hex'))
    expect(new Set(nonces).size).toBe(nonces.length)
  })

  it.each([
    ['workspace', { ...context, workspaceId: newUuid() }],
    ['event', { ...context, eventId: newUuid() }],
    ['blob name', { ...context, blob: 'content' as const }],
  ])('does not open for another %s', (_, other) => {
    const blob = seal(key, context, disclosures)
    expect(() => open(key.key, other, blob)).toThrow(SealBrokenError)
  })

  it('does not open with another key', () => {
    expect(() => open(newSecretKey(), context, seal(key, context, disclosures))).toThrow(SealBrokenError)
  })

  it('does not open with any byte of nonce, text or tag changed, or one missing', () => {
    const blob = seal(key, context, disclosures)
    for (let at = 17; at < blob.length; at++) {
      const altered = Buffer.from(blob)
      altered[at]! ^= 1
      expect(() => open(key.key, context, altered), `byte ${at}`).toThrow(SealBrokenError)
    }
    expect(() => open(key.key, context, blob.subarray(0, -1))).toThrow(SealBrokenError)
    expect(() => open(key.key, context, Buffer.alloc(0))).toThrow(SealBrokenError)
    expect(() => open(key.key, context, Buffer.concat([Buffer.of(2), blob.subarray(1)]))).toThrow(SealBrokenError)
  })
})
