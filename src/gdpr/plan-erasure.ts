import { disclosureDigest, type Disclosure } from '../ledger/index.js'
import type { GdprRequestType } from './gdpr-request.js'
import { type ContentMatcher, contentMatcher, hasPersonalKey } from './personal-content.js'

/** An event as it is before its erasure: what its two blobs disclose. */
export interface OpenedEvent {
  readonly sequence: number
  readonly id: string
  /** By tags: the subject did it. */
  readonly isOwn: boolean
  /** Null where there is no such blob. */
  readonly identity: readonly Disclosure[] | null
  readonly content: readonly Disclosure[] | null
}

/** What is to be erased of one event. */
export interface EventErasure {
  readonly sequence: number
  readonly isOwn: boolean
  /** Of the disclosures that go; at least one. */
  readonly digests: readonly Buffer[]
  /** What stays of each blob; null where nothing does, or nothing was there; `same` where nothing changes. */
  readonly identity: readonly Disclosure[] | null | 'same'
  readonly content: readonly Disclosure[] | null | 'same'
  /** Whether the tags of actor, target and trace go. */
  readonly actor: boolean
  readonly target: boolean
  readonly trace: boolean
}

/**
 * What an erasure takes from an event (ledger format HL1, section 5), or null where it is no concern of it. `mentions`
 * recognises the subject's identifiers.
 */
export function planErasure(mode: GdprRequestType, event: OpenedEvent, mentions: ContentMatcher): EventErasure | null {
  const identity = event.identity ?? []
  const content = event.content ?? []
  const goes = event.isOwn ? ownRule(mode, identity, mentions) : mentions
  const goneIdentity = event.isOwn ? identity : erasedActor(identity, mentions)
  const goneContent = content.filter(goes)
  if (goneIdentity.length + goneContent.length === 0) return null
  const paths = new Set([...goneIdentity, ...goneContent].map(({ path }) => path))
  return {
    sequence: event.sequence,
    isOwn: event.isOwn,
    digests: [...goneIdentity, ...goneContent].map(disclosureDigest),
    identity: rest(event.identity, goneIdentity),
    // The subject's content key is destroyed, so that what stays of its events has to be sealed by another.
    content: event.isOwn && goneContent.length === 0 ? event.content : rest(event.content, goneContent),
    actor: paths.has('actor.id') || paths.has('actor.email'),
    target: paths.has('target.id'),
    trace: paths.has('traceId'),
  }
}

/** Which content of the subject's own events goes. */
function ownRule(mode: GdprRequestType, identity: readonly Disclosure[], mentions: ContentMatcher): ContentMatcher {
  if (mode === 'DELETE') return () => true
  // What names it here names it also by what this event knows of it beside the request: the name, another address.
  const known = identity.flatMap(({ value }) => (typeof value === 'string' && value.trim() !== '' ? [value] : []))
  const namesIt = contentMatcher(known)
  return (disclosure) => mentions(disclosure) || namesIt(disclosure) || hasPersonalKey(disclosure)
}

/** Of somebody else's identity all that is said goes where its id or address is the subject's, else what mentions it. */
function erasedActor(identity: readonly Disclosure[], mentions: ContentMatcher): readonly Disclosure[] {
  const gone = identity.filter(mentions)
  return gone.some(({ path }) => path !== 'actor.name') ? identity : gone
}

function rest(
  before: readonly Disclosure[] | null,
  gone: readonly Disclosure[],
): readonly Disclosure[] | null | 'same' {
  if (before === null) return null
  if (gone.length === 0) return 'same'
  const kept = before.filter((one) => !gone.includes(one))
  return kept.length === 0 ? null : kept
}
