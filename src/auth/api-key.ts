import type { KeyObject } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { hmacSha256 } from '../kernel/hmac.js'
import { randomBytes } from '../kernel/random.js'

/**
 * The form of our API keys: `hlk_<co|ws>_<40 random characters of base62>_<6 of checksum>`. The scope can be read off a
 * key, scanners for leaked secrets know it by its prefix, and a mistyped one is refused without asking a database.
 */
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_LENGTH = 40
const RANDOM_LENGTH_MIN = 32
const RANDOM_LENGTH_MAX = 64
const CHECKSUM_LENGTH = 6
const PREFIX_RANDOM_LENGTH = 6
/** The largest multiple of 62 in a byte: above it, characters would not be equally likely. */
const UNBIASED_BELOW = 248

const form = new RegExp(
  `^hlk_(co|ws)_[0-9A-Za-z]{${RANDOM_LENGTH_MIN},${RANDOM_LENGTH_MAX}}_[0-9A-Za-z]{${CHECKSUM_LENGTH}}$`,
)

/** A new key, to be shown once. 40 characters of base62 are 238 bits. */
export function newApiKey(scope: 'COMPANY' | 'WORKSPACE'): string {
  const body = `hlk_${scope === 'COMPANY' ? 'co' : 'ws'}_${randomBase62(RANDOM_LENGTH)}`
  return `${body}_${checksum(body)}`
}

/** Whether a text has the form of a key and its checksum fits. It says nothing of whether the key exists. */
export function isWellFormedApiKey(text: string): boolean {
  if (!form.test(text)) return false
  const end = text.length - CHECKSUM_LENGTH - 1
  return checksum(text.slice(0, end)) === text.slice(end + 1)
}

/** What a key may be recognised by in lists: scope and the first six random characters. */
export const apiKeyPrefix = (key: string): string => key.slice(0, 'hlk_co_'.length + PREFIX_RANDOM_LENGTH)

/** What is stored of a key, and looked up by: HMAC-SHA-256 under the server's pepper, 32 bytes. */
export const apiKeyHmac = (pepper: KeyObject, key: string): Buffer => hmacSha256(pepper, key)

/** `length` characters of base62, each equally likely. */
export function randomBase62(length: number): string {
  let text = ''
  while (text.length < length)
    for (const byte of randomBytes(64)) if (byte < UNBIASED_BELOW && text.length < length) text += alphabet[byte % 62]!
  return text
}

/** CRC-32 in base62: it finds typing and copying mistakes, and is no secret. */
function checksum(body: string): string {
  let rest = crc32(body)
  let text = ''
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    text = alphabet[rest % 62]! + text
    rest = Math.floor(rest / 62)
  }
  return text
}
