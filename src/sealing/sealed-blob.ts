import { createCipheriv, createDecipheriv, type CipherGCM, type KeyObject } from 'node:crypto'
import type { JsonValue } from '../kernel/canonical-json.js'
import { uuidFromBytes, writeUuid } from '../kernel/ids.js'
import { randomBytes } from '../kernel/random.js'
import { disclosureJson, type Disclosure } from '../ledger/index.js'
import { SealBrokenError } from './secret-box.js'

/** A key and the id under which its wrapped form is kept. */
export interface SealingKey {
  readonly id: string
  readonly key: KeyObject
}

/** `identity` holds the disclosures of the actor, `content` all others. */
export type BlobName = 'identity' | 'content'

/** What a blob belongs to. It opens nowhere else. */
export interface BlobContext {
  readonly workspaceId: string
  readonly eventId: string
  readonly blob: BlobName
}

// As UTF-8 in a Buffer a text is enciphered at half the cost of the text itself. Wiped after each use.
const scratch = Buffer.alloc(16_384)
const UTF8_BYTES_PER_UNIT_MAX = 3

const VERSION = 1
const KEY_ID_AT = 1
const NONCE_AT = 17
const SEALED_AT = 29
const TAG_BYTES = 16

/**
 * Seals disclosures: version1 ‖ keyId16 ‖ nonce12 ‖ AES-256-GCM(key, JCS([[path, value, salt in base64], …])) ‖ tag16,
 * with workspace, event and blob name as additional data.
 */
export const seal = (key: SealingKey, context: BlobContext, disclosures: readonly Disclosure[]): Buffer =>
  sealText(key, context, `[${disclosures.map((one) => blobEntry(disclosureJson(one), one.salt)).join(',')}]`)

/** JCS([path, value, salt in base64]) from JCS([path, value]): {@link sealText} takes an array of these. */
export const blobEntry = (json: string, salt: Uint8Array): string => `${json.slice(0, -1)},"${base64(salt)}"]`

/** {@link seal} of disclosures that are written already. */
export function sealText(key: SealingKey, context: BlobContext, text: string): Buffer {
  const nonce = randomBytes(SEALED_AT - NONCE_AT)
  const cipher = createCipheriv('aes-256-gcm', key.key, nonce)
  cipher.setAAD(additionalData(context))
  const sealed = encipher(cipher, text)
  cipher.final()
  const blob = Buffer.allocUnsafe(SEALED_AT + sealed.length + TAG_BYTES)
  blob[0] = VERSION
  writeUuid(blob, key.id, KEY_ID_AT)
  blob.set(nonce, NONCE_AT)
  blob.set(sealed, SEALED_AT)
  blob.set(cipher.getAuthTag(), SEALED_AT + sealed.length)
  return blob
}

function encipher(cipher: CipherGCM, text: string): Buffer {
  if (text.length * UTF8_BYTES_PER_UNIT_MAX > scratch.length) return cipher.update(text, 'utf8')
  const plain = scratch.subarray(0, scratch.write(text, 'utf8'))
  const sealed = cipher.update(plain)
  plain.fill(0)
  return sealed
}

/** The disclosures of a blob. Throws SealBrokenError where key, context or any byte is another. */
export const open = (key: KeyObject, context: BlobContext, blob: Uint8Array): Disclosure[] =>
  openEntries(key, context, blob).map(([path, value, salt]) => ({ path, value, salt: Buffer.from(salt, 'base64') }))

/** {@link open} for who shows what is disclosed and proves nothing: without the salts. */
export const openValues = (key: KeyObject, context: BlobContext, blob: Uint8Array): Omit<Disclosure, 'salt'>[] =>
  openEntries(key, context, blob).map(([path, value]) => ({ path, value }))

type Entry = readonly [path: string, value: JsonValue, salt: string]

function openEntries(key: KeyObject, context: BlobContext, blob: Uint8Array): Entry[] {
  checkShape(blob)
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(NONCE_AT, SEALED_AT), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(additionalData(context))
  decipher.setAuthTag(blob.subarray(blob.length - TAG_BYTES))
  const text = decipher.update(blob.subarray(SEALED_AT, blob.length - TAG_BYTES))
  try {
    decipher.final()
  } catch (cause) {
    throw new SealBrokenError(`The ${context.blob} blob does not open with this key.`, { cause })
  }
  // Authenticated above: only seal() can have written it.
  return JSON.parse(text.toString('utf8')) as Entry[]
}

/** The id of the key that a blob was sealed with. */
export function blobKeyId(blob: Uint8Array): string {
  checkShape(blob)
  return uuidFromBytes(blob.subarray(KEY_ID_AT, NONCE_AT))
}

function checkShape(blob: Uint8Array): void {
  if (blob.length < SEALED_AT + TAG_BYTES || blob[0] !== VERSION) throw new SealBrokenError('Not a sealed blob.')
}

function additionalData({ workspaceId, eventId, blob }: BlobContext): Buffer {
  // UUIDs as text have one length, so the three can't run into each other.
  return Buffer.from(`${workspaceId}${eventId}${blob}`, 'latin1')
}

const base64 = (bytes: Uint8Array): string =>
  (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).toString('base64')
