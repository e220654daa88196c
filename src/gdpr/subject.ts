import type { KeyObject } from 'node:crypto'
import { badInput } from '../kernel/domain-error.js'
import { isStorable } from '../kernel/plain-text.js'
import { equalityTag, keyedDigest } from '../sealing/tags.js'

/** As many characters as an event's identifiers may have. */
export const IDENTIFIER_CHARACTERS_MAX = 255

/** By what a data subject is known: trimmed, the address in lower case. At least one is there. */
export interface Identifiers {
  readonly actorId: string | null
  readonly actorEmail: string | null
}

/** The identifiers as they were given, made fit to search by. BAD_USER_INPUT where none is left, or one is too long. */
export function validIdentifiers(given: {
  readonly actorId?: string | null | undefined
  readonly actorEmail?: string | null | undefined
}): Identifiers {
  const actorId = given.actorId?.trim() || null
  const actorEmail = given.actorEmail?.trim().toLowerCase() || null
  if (actorId === null && actorEmail === null)
    throw badInput('input', 'needs actorId or actorEmail: at least one says who it is about.')
  for (const [field, value] of Object.entries({ actorId, actorEmail })) {
    if (value === null) continue
    if (value.length > IDENTIFIER_CHARACTERS_MAX)
      throw badInput(`input.${field}`, `must have at most ${IDENTIFIER_CHARACTERS_MAX} characters.`)
    if (!isStorable(value)) throw badInput(`input.${field}`, 'must be plain text.')
  }
  return { actorId, actorEmail }
}

/** How an open request shows its subject: enough to recognise it by for who knows it. */
export function maskIdentifiers({ actorId, actorEmail }: Identifiers): string {
  const masked: string[] = []
  if (actorEmail !== null) {
    const at = actorEmail.lastIndexOf('@')
    masked.push(at < 1 ? maskWord(actorEmail) : `${firstOf(actorEmail)}***${actorEmail.slice(at)}`)
  }
  if (actorId !== null) masked.push(maskWord(actorId))
  return masked.join(', ')
}

const firstOf = (text: string): string => String.fromCodePoint(text.codePointAt(0)!)
const maskWord = (text: string): string => (text.length > 1 ? `${firstOf(text)}***` : '***')

/** Every identifier there is, each once. */
export const identifiersOf = ({ actorId, actorEmail }: Identifiers): string[] => [
  ...new Set([actorId, actorEmail].filter((one) => one !== null)),
]

/** The tags by which the subject's events are found: some callers put an address where an id belongs, or the reverse. */
export interface SubjectTags {
  readonly actorIds: readonly Buffer[]
  readonly actorEmails: readonly Buffer[]
  readonly targetIds: readonly Buffer[]
}

export function subjectTags(tagKey: KeyObject, identifiers: Identifiers): SubjectTags {
  const all = identifiersOf(identifiers)
  return {
    actorIds: all.map((one) => equalityTag(tagKey, 'actor.id', one)),
    actorEmails: all.map((one) => equalityTag(tagKey, 'actor.email', one)),
    targetIds: all.map((one) => equalityTag(tagKey, 'target.id', one)),
  }
}

/** The same for the same identifiers within a company, so that a second request finds an open one. 32 bytes. */
export const requestSubjectTag = (tagKey: KeyObject, { actorId, actorEmail }: Identifiers): Buffer =>
  keyedDigest(tagKey, 'gdpr subject', JSON.stringify([actorId, actorEmail]))
