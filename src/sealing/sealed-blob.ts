import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { canonicalJson, type JsonValue } from '../kernel/canonical-json.js'
import { uuidFromBytes, uuidToBytes } from '../kernel/ids.js'
import { randomBytes } from '../kernel/random.js'
import type { Disclosure } from '../ledger/index.js'
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

const VERSION = 1
const KEY_ID_AT = 1
const NONCE_AT = 17
const SEALED_AT = 29
const TAG_BYTES = 16

/**
 * Seals disclosures: version1 ‖ keyId16 ‖ nonce12 ‖ AES-256-GCM(key, JCS([[path, value, salt in base64], …])) ‖ tag16,
 * with workspace, event and blob name as additional data.
 */
export function seal(key: SealingKey, context: BlobContext, disclosures: readonly Disclosure[]): Buffer {
  const nonce = randomBytes(SEALED_AT - NONCE_AT)
  const cipher = createCipheriv('aes-256-gcm', key.key, nonce)
  cipher.setAAD(additionalData(context))
  const text = canonicalJson(disclosures.map(({ path, value, salt }) => [path, value, base64(salt)]))
  const sealed = cipher.update(text, 'utf8')
  cipher.final()
  return Buffer.concat([Buffer.of(VERSION), uuidToBytes(key.id), nonce, sealed, cipher.getAuthTag()])
}

/** The disclosures of a blob. Throws SealBrokenError where key, context or any byte is another. */
export function open(key: KeyObject, context: BlobContext, blob: Uint8Array): Disclosure[] {
  checkShape(blob)
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(NONCE_AT, SEALED_AT), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(additionalData(context))
  decipher.setAuthTag(blob.subarray(blob.length - TAG_BYTES))
  const text = decipher.update(blob.subarray(SEALED_AT, blob.length - TAG_BYTES), undefined, 'utf8')
  let rest: string
  try {
    rest = decipher.final('utf8')
  } catch (cause) {
    throw new SealBrokenError(`The ${context.blob} blob does not open with this key.`, { cause })
  }
  // Authenticated above: only seal() can have written it.
  const entries = JSON.parse(text + rest) as [path: string, value: JsonValue, salt: string][]
  return entries.map(([path, value, salt]) => ({ path, value, salt: Buffer.from(salt, 'base64') }))
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
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
