import { createHmac, type KeyObject } from 'node:crypto'
import { hmacSha256 } from '../kernel/hmac.js'

/** The identifiers that can be searched for equality. */
export type TagKind = 'actor.id' | 'actor.email' | 'target.id' | 'traceId'

export const TAG_BYTES = 16

/**
 * The tag by which an identifier is found without being known: the first 16 bytes of HMAC-SHA-256 under the company's
 * tag key. Kinds are kept apart (an actor id is not found as a target id), e-mail addresses are compared in lower case.
 */
export function equalityTag(tagKey: KeyObject, kind: TagKind, value: string): Buffer {
  return keyedDigest(tagKey, kind, kind === 'actor.email' ? value.toLowerCase() : value).subarray(0, TAG_BYTES)
}

/**
 * The tag of the subject a key belongs to: the actor's id and e-mail exactly as given, or the workspace where an event
 * names no such actor. 16 bytes.
 */
export function subjectTag(
  tagKey: KeyObject,
  subject: { readonly workspaceId: string; readonly actorId: string | null; readonly actorEmail: string | null },
): Buffer {
  const { workspaceId, actorId, actorEmail } = subject
  const digest =
    actorId === null && actorEmail === null
      ? keyedDigest(tagKey, 'workspace', workspaceId)
      : keyedDigest(tagKey, 'subject', JSON.stringify([actorId, actorEmail]))
  return digest.subarray(0, TAG_BYTES)
}

/**
 * HMAC-SHA-256 of a value under a company's tag key, 32 bytes. `purpose` keeps digests of one value apart; it must not
 * contain NUL, which ends it.
 */
export const keyedDigest = (tagKey: KeyObject, purpose: string, value: string | Uint8Array): Buffer =>
  typeof value === 'string'
    ? hmacSha256(tagKey, `${purpose}\0${value}`)
    : createHmac('sha256', tagKey).update(`${purpose}\0`).update(value).digest()
