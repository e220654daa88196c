import { findUnsafeInteger, NotCanonicalError } from '../kernel/canonical-json.js'
import { digestsOf, type ReadBody } from './body-rules.js'
import type { ChainEvent } from './chain-event.js'
import { type Latin1, toBase64 } from './crypto.js'
import { type Disclosure, disclosureDigestBase64, isDisclosable, SALT_BYTES } from './disclosure.js'
import type { PendingErasures } from './pending-erasures.js'
import { tombstoneLatin1 } from './tombstone.js'
import type { BreakReason } from './verdict.js'

/** What an event's disclosures and tombstones come to. */
export interface Commitments {
  readonly fault: { readonly reason: BreakReason; readonly detail: string } | null
  readonly erasedDisclosures: number
  /** Digests erased whose values are still there. */
  readonly incompleteErasures: number
}

const broken = (reason: BreakReason, detail: string): Commitments => ({
  fault: { reason, detail },
  erasedDisclosures: 0,
  incompleteErasures: 0,
})
const nothing: Commitments = { fault: null, erasedDisclosures: 0, incompleteErasures: 0 }

/** Matches the digests of a body one to one with the disclosures and tombstones that came with it. */
export function matchCommitments(
  event: ChainEvent,
  body: ReadBody,
  workspace: Latin1,
  pending: PendingErasures,
): Commitments {
  const { disclosures, tombstones } = event
  // With nothing erased the digests found are, put in order, those of the body, character by character.
  if (tombstones.length === 0 && isWritten(disclosures, body.digestsText) && differ(disclosures)) return nothing
  return matchOneByOne(event, body, workspace, pending)
}

/** Whether the digests of these disclosures, sorted and quoted, make up the text. */
function isWritten(disclosures: readonly Disclosure[], text: string): boolean {
  if (text.length !== Math.max(0, disclosures.length * QUOTED_LENGTH - 1)) return false
  const digests: string[] = []
  for (const disclosure of disclosures) {
    const digest = digestOf(disclosure)
    if (digest === null) return false
    digests.push(digest)
  }
  return digests.sort().every((digest, i) => text.startsWith(digest, i * QUOTED_LENGTH + 1))
}

/** Of a digest in base64 with quotes and comma. */
const QUOTED_LENGTH = 47

function matchOneByOne(event: ChainEvent, body: ReadBody, workspace: Latin1, pending: PendingErasures): Commitments {
  const digests = digestsOf(body)
  if (digests === null) return broken('HASH_MISMATCH', 'the digests of the body are not distinct digests in order')
  const open = new Set(digests)
  for (const disclosure of event.disclosures) {
    const digest = digestOf(disclosure)
    if (digest === null || !open.delete(digest))
      return broken('COMMITMENT_MISMATCH', 'a disclosure gives none of the digests in the body, or one twice')
  }
  if (!differ(event.disclosures)) return broken('COMMITMENT_MISMATCH', 'two disclosures have one path')
  if (event.tombstones.length > 0) return matchTombstones(event, body.fields.id, digests, open, workspace, pending)
  return open.size === 0 ? nothing : broken('MISSING_DISCLOSURE', 'a digest has neither disclosure nor tombstone')
}

function matchTombstones(
  event: ChainEvent,
  eventId: string,
  digests: readonly string[],
  undisclosed: Set<string>,
  workspace: Latin1,
  pending: PendingErasures,
): Commitments {
  const known = new Set(digests)
  const erased = new Set<string>()
  let incompleteErasures = 0
  let fault: string | null = null
  for (const { digest, erasure, index, proof } of event.tombstones) {
    const text = toBase64(digest)
    if (!known.has(text)) fault ??= 'a tombstone names no digest of the body'
    else if (erased.has(text)) fault ??= 'a digest is erased twice'
    else {
      erased.add(text)
      if (!undisclosed.delete(text)) incompleteErasures++
      if (erasure <= event.sequence) fault ??= 'a tombstone names an erasure that is not after the event'
      const tombstone = tombstoneLatin1(workspace, event.sequence, digest)
      const claim = {
        tombstone,
        sequence: event.sequence,
        eventId,
        erasure,
        index: index ?? null,
        proof: proof ?? null,
      }
      fault ??= pending.claim(claim)
    }
  }
  if (undisclosed.size > 0) return broken('MISSING_DISCLOSURE', 'a digest has neither disclosure nor tombstone')
  if (fault !== null) return broken('TOMBSTONE_MISMATCH', fault)
  return { fault: null, erasedDisclosures: erased.size - incompleteErasures, incompleteErasures }
}

/** Few enough that comparing each with each is faster than a Set. */
const FEW = 12

/** Whether no two disclosures have one path. */
function differ(disclosures: readonly Disclosure[]): boolean {
  if (disclosures.length > FEW) return new Set(disclosures.map(({ path }) => path)).size === disclosures.length
  for (let i = 1; i < disclosures.length; i++)
    for (let j = 0; j < i; j++) if (disclosures[i]!.path === disclosures[j]!.path) return false
  return true
}

/** The digest in base64, or null where the disclosure can have none. */
function digestOf(disclosure: Disclosure): string | null {
  const { path, value, salt } = disclosure
  if (salt.length !== SALT_BYTES || !isDisclosable(path, value)) return null
  if (typeof value !== 'string' && findUnsafeInteger(value) !== null) return null
  try {
    return disclosureDigestBase64(disclosure)
  } catch (error) {
    if (error instanceof NotCanonicalError) return null
    throw error
  }
}
