import type { KnownKey } from './committer.store.js'
import type { SealedDraft } from './event-draft.js'
import type { IdempotencyMark } from './idempotency.js'

/** The event that an idempotency key stood for first: stored already, or a draft about to be. */
export type First = { readonly known: KnownKey } | { readonly draft: SealedDraft }

/** One draft of a request: to be recorded where `repeats` is null. */
export interface Step {
  readonly draft: SealedDraft
  readonly repeats: First | null
}

/** What becomes of one request: all of its drafts, or, at the first conflict, none. */
export type Decision = { readonly steps: readonly Step[] } | { readonly conflict: IdempotencyMark }

interface Meaning {
  readonly fingerprint: Buffer
  readonly first: First
}

const nameOf = (workspaceId: string, keyDigest: Buffer): string => workspaceId + keyDigest.toString('latin1')

/**
 * Tells new events from repeats, requests in their order, each seeing the keys of those before it. A key that comes
 * back with the same content repeats the first event; with another it refuses its whole request, whose other keys are
 * then as if they had never been sent. Pure.
 */
export function decideRepeats(requests: readonly (readonly SealedDraft[])[], known: readonly KnownKey[]): Decision[] {
  const meanings = new Map<string, Meaning>()
  for (const key of known)
    meanings.set(nameOf(key.workspaceId, key.keyDigest), { fingerprint: key.fingerprint, first: { known: key } })
  return requests.map((drafts) => {
    const own = new Map<string, Meaning>()
    const steps: Step[] = []
    for (const draft of drafts) {
      const mark = draft.idempotency
      if (mark === null) {
        steps.push({ draft, repeats: null })
        continue
      }
      const name = nameOf(draft.workspaceId, mark.keyDigest)
      const meaning = own.get(name) ?? meanings.get(name)
      if (meaning === undefined) {
        own.set(name, { fingerprint: mark.fingerprint, first: { draft } })
        steps.push({ draft, repeats: null })
      } else if (meaning.fingerprint.equals(mark.fingerprint)) steps.push({ draft, repeats: meaning.first })
      else return { conflict: mark }
    }
    for (const [name, meaning] of own) meanings.set(name, meaning)
    return { steps }
  })
}
