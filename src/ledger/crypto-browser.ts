import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'

// The twin of crypto.ts for browsers: the member "browser" of package.json puts it in its place. SHA-256 and Ed25519 are
// noble's: Web Crypto answers with promises only, and the verifier takes one event after another.

/** Bytes as a string, one UTF-16 unit (0–255) for each byte. */
export type Latin1 = string

export const HASH_BYTES = 32

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** What `String.fromCharCode` takes at once. */
const CHUNK = 8192

/** SHA-256 of bytes, or of the UTF-8 of a text. */
export const sha256 = (data: Uint8Array | string): Latin1 =>
  fromBytes(nobleSha256(typeof data === 'string' ? encoder.encode(data) : data))

/** The same in base64, as bodies hold digests. */
export const sha256Base64 = (data: Uint8Array): string => toBase64(sha256(data))

export function toBytes(latin1: Latin1): Uint8Array {
  const bytes = new Uint8Array(latin1.length)
  writeLatin1(bytes, latin1, 0)
  return bytes
}

export function fromBytes(bytes: Uint8Array): Latin1 {
  let text = ''
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK))
  return text
}

export function toHex(latin1: Latin1): string {
  let hex = ''
  for (let at = 0; at < latin1.length; at++) hex += latin1.charCodeAt(at).toString(16).padStart(2, '0')
  return hex
}

/** Like the platform's: ends at the first pair that is no byte. */
export function fromHex(hex: string): Latin1 {
  let text = ''
  for (let at = 0; at + 1 < hex.length; at += 2) {
    const pair = hex.slice(at, at + 2)
    if (!/^[0-9a-f]{2}$/i.test(pair)) break
    text += String.fromCharCode(Number.parseInt(pair, 16))
  }
  return text
}

export const toBase64 = (latin1: Latin1): string => btoa(latin1)

/** The bytes of a base64 text; nothing where it is none. Who decodes compares with what {@link toBase64} makes of it. */
export function fromBase64(base64: string): Latin1 {
  try {
    return atob(base64)
  } catch {
    return ''
  }
}

export const utf8Latin1 = (text: string): Latin1 => fromBytes(encoder.encode(text))
export const utf8Bytes = (text: string): Uint8Array => encoder.encode(text)

/** The text of UTF-8 bytes, or null where they are no UTF-8. */
export function utf8Text(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes)
  } catch {
    return null
  }
}

export const allocateBytes = (size: number): Uint8Array => new Uint8Array(size)

/** Writes the bytes of `latin1` at `offset`. */
export function writeLatin1(target: Uint8Array, latin1: Latin1, offset: number): void {
  for (let at = 0; at < latin1.length; at++) target[offset + at] = latin1.charCodeAt(at)
}

/** Writes an integer up to 2^53 − 1 in 8 bytes, big-endian. */
export function writeUint64(target: Uint8Array, value: number, offset: number): void {
  writeUint32(target, Math.floor(value / 2 ** 32), offset)
  writeUint32(target, value % 2 ** 32, offset + 4)
}

export function writeUint32(target: Uint8Array, value: number, offset: number): void {
  new DataView(target.buffer, target.byteOffset, target.byteLength).setUint32(offset, value)
}

/** Writes the UTF-8 of `text` at the beginning of `target`; answers the number of bytes, or -1 where there isn't room. */
export function writeUtf8(target: Uint8Array, text: string): number {
  const { read, written } = encoder.encodeInto(text, target)
  return read === text.length ? written : -1
}

/** Whether `signature` is an Ed25519 signature of `message` by a raw public key. False for what is no key or signature. */
export function verifyEd25519(publicKey: Latin1, message: Uint8Array | string, signature: Latin1): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const data = typeof message === 'string' ? encoder.encode(message) : message
  try {
    // RFC 8032's equation without the cofactor, as OpenSSL has it: both must answer alike.
    return ed25519.verify(toBytes(signature), data, toBytes(publicKey), { zip215: false })
  } catch {
    return false
  }
}
