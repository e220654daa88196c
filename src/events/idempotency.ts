import { createSecretKey, type KeyObject } from 'node:crypto'
import { hmacSha256 } from '../kernel/hmac.js'

/** A repeat is recognised for at least this long; rows older than it are dropped hourly. */
export const IDEMPOTENCY_KEPT_HOURS = 24

/** What is kept of an idempotency key and of the content it stood for: neither can be read back or guessed offline. */
export interface IdempotencyMark {
  /** 32 bytes: HMAC of workspace and key. */
  readonly keyDigest: Buffer
  /** 32 bytes: HMAC of the input before defaults. */
  readonly fingerprint: Buffer
  /** Where the key stands in the request, for error messages. */
  readonly field: string
}

// Derived once per tag key and gone with it: a company's tags, keys and fingerprints never come from one HMAC key.
const derivedKeys = new WeakMap<KeyObject, KeyObject>()

function idempotencyKeyOf(tagKey: KeyObject): KeyObject {
  let derived = derivedKeys.get(tagKey)
  if (derived === undefined) {
    derived = createSecretKey(hmacSha256(tagKey, 'hyrelog idempotency 1'))
    derivedKeys.set(tagKey, derived)
  }
  return derived
}

/**
 * The mark of one event's idempotency key. The workspace is part of it, so that one key in two workspaces is two keys.
 * `contentText` is the canonical text of the input before defaults.
 */
export function idempotencyMark(
  tagKey: KeyObject,
  event: { readonly workspaceId: string; readonly key: string; readonly contentText: string; readonly field: string },
): IdempotencyMark {
  const key = idempotencyKeyOf(tagKey)
  return {
    keyDigest: hmacSha256(key, `key\0${event.workspaceId}\0${event.key}`),
    fingerprint: hmacSha256(key, `content\0${event.contentText}`),
    field: event.field,
  }
}
