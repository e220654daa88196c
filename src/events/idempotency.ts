import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

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
    derived = createSecretKey(createHmac('sha256', tagKey).update('hyrelog idempotency 1').digest())
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
    keyDigest: createHmac('sha256', key).update(`key\0${event.workspaceId}\0${event.key}`).digest(),
    fingerprint: createHmac('sha256', key).update(`content\0${event.contentText}`).digest(),
    field: event.field,
  }
}
