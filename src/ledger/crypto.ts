import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto'
import { isUtf8 } from 'node:buffer'

// The one file of the ledger that knows the platform: hashing, Ed25519 and the conversions of bytes. A build for the
// browser replaces this module (SHA-256 and Ed25519 of @noble, TextEncoder, Uint8Array) and nothing else.

/**
 * Bytes as a string, one UTF-16 unit (0–255) for each byte. Digests travel inside the ledger in this form: V8 hashes
 * into a string twice as fast as into a Buffer, two digests are compared with `===`, `<` is the order of their bytes,
 * and a Map can hold them as keys.
 */
export type Latin1 = string

export const HASH_BYTES = 32

/** SHA-256 of bytes, or of the UTF-8 of a text. */
export const sha256 = (data: Uint8Array | string): Latin1 => hash('sha256', data, 'binary')

/** The same in base64, as bodies hold digests. */
export const sha256Base64 = (data: Uint8Array): string => hash('sha256', data, 'base64')

export const toBytes = (latin1: Latin1): Buffer => Buffer.from(latin1, 'latin1')
export const fromBytes = (bytes: Uint8Array): Latin1 => asBuffer(bytes).toString('latin1')

export const toHex = (latin1: Latin1): string => Buffer.from(latin1, 'latin1').toString('hex')
export const fromHex = (hex: string): Latin1 => Buffer.from(hex, 'hex').toString('latin1')

export const toBase64 = (latin1: Latin1): string => Buffer.from(latin1, 'latin1').toString('base64')
export const fromBase64 = (base64: string): Latin1 => Buffer.from(base64, 'base64').toString('latin1')

export const utf8Latin1 = (text: string): Latin1 => Buffer.from(text, 'utf8').toString('latin1')
export const utf8Bytes = (text: string): Buffer => Buffer.from(text, 'utf8')

/** The text of UTF-8 bytes, or null where they are no UTF-8. */
export const utf8Text = (bytes: Uint8Array): string | null => (isUtf8(bytes) ? asBuffer(bytes).toString('utf8') : null)

export const allocateBytes = (size: number): Buffer => Buffer.alloc(size)

/** Writes the bytes of `latin1` at `offset`. */
export function writeLatin1(target: Buffer, latin1: Latin1, offset: number): void {
  target.write(latin1, offset, 'latin1')
}

/** Writes an integer up to 2^53 − 1 in 8 bytes, big-endian. */
export function writeUint64(target: Buffer, value: number, offset: number): void {
  writeUint32(target, Math.floor(value / 2 ** 32), offset)
  writeUint32(target, value % 2 ** 32, offset + 4)
}

export function writeUint32(target: Buffer, value: number, offset: number): void {
  target.writeUInt32BE(value, offset)
}

const encoder = new TextEncoder()

/** Writes the UTF-8 of `text` at the beginning of `target`; answers the number of bytes, or -1 where there isn't room. */
export function writeUtf8(target: Uint8Array, text: string): number {
  const { read, written } = encoder.encodeInto(text, target)
  return read === text.length ? written : -1
}

/**
 * Whether `signature` (64 bytes) is an Ed25519 signature of `message` by a raw public key (32 bytes). False, never an
 * exception, for bytes that are no key or no signature.
 */
export function verifyEd25519(publicKey: Latin1, message: Uint8Array | string, signature: Latin1): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  try {
    const data = typeof message === 'string' ? utf8Bytes(message) : message
    return verify(null, data, importKey(publicKey), toBytes(signature))
  } catch {
    // OpenSSL throws on a point that isn't on the curve: no signature can be valid under such a key.
    return false
  }
}

const importKey = (publicKey: Latin1): KeyObject =>
  createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: toBytes(publicKey).toString('base64url') },
    format: 'jwk',
  })

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
