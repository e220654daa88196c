import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { randomBytes } from '../kernel/random.js'

export const SECRET_KEY_BYTES = 32
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES

/** A sealed secret that can't be opened: another key, another name, or altered bytes. Says nothing of its content. */
export class SealBrokenError extends Error {
  override readonly name = 'SealBrokenError'
}

/** A 32-byte key as a KeyObject, the only form in which keys are passed on (they print as nothing). */
export function secretKey(bytes: Uint8Array): KeyObject {
  if (bytes.length !== SECRET_KEY_BYTES) throw new Error(`A key is ${SECRET_KEY_BYTES} bytes, not ${bytes.length}.`)
  return createSecretKey(bytes)
}

/** A fresh 32-byte key. */
export const newSecretKey = (): KeyObject => secretKey(randomBytes(SECRET_KEY_BYTES))

/** A key for one purpose, derived from another by HKDF-SHA-256 (RFC 5869), so that no key serves two. */
export const derivedKey = (from: KeyObject, purpose: string): KeyObject =>
  secretKey(Buffer.from(hkdfSync('sha256', from, Buffer.alloc(0), purpose, SECRET_KEY_BYTES)))

/**
 * Seals a small secret with AES-256-GCM: version1 ‖ nonce12 ‖ ciphertext ‖ tag16. `name` says what it is and where it
 * belongs; it is authenticated and not stored, so that a sealed value moved to another place does not open there.
 */
export function sealSecret(key: KeyObject, name: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(name, 'utf8'))
  const sealed = cipher.update(plain)
  cipher.final()
  return Buffer.concat([Buffer.of(VERSION), nonce, sealed, cipher.getAuthTag()])
}

/** The inverse of {@link sealSecret}. Throws {@link SealBrokenError}. */
export function openSecret(key: KeyObject, name: string, sealed: Uint8Array): Buffer {
  if (sealed.length < OVERHEAD_BYTES || sealed[0] !== VERSION) throw new SealBrokenError(`Not a sealed ${name}.`)
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(Buffer.from(name, 'utf8'))
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const plain = decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.length - TAG_BYTES))
  try {
    decipher.final()
  } catch (cause) {
    throw new SealBrokenError(`The sealed ${name} does not open with this key.`, { cause })
  }
  return plain
}
