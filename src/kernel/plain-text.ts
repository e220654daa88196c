import { badInput } from './domain-error.js'

/** How long a reason may be that is kept for ever. */
export const KEPT_REASON_CHARACTERS_MAX = 500

/** Whether PostgreSQL can keep the text, also in JSON: it takes neither NUL nor half a surrogate pair. */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

/**
 * A reason that is kept for ever, without blanks around it. BAD_USER_INPUT where it is empty, longer than
 * {@link KEPT_REASON_CHARACTERS_MAX}, has an e-mail address in it, or is not plain text.
 */
export function validKeptReason(text: string, field: string): string {
  const reason = text.trim()
  if (reason === '' || reason.length > KEPT_REASON_CHARACTERS_MAX)
    throw badInput(field, `must have 1 to ${KEPT_REASON_CHARACTERS_MAX} characters.`)
  if (!isStorable(reason)) throw badInput(field, 'must be plain text.')
  if (reason.includes('@')) throw badInput(field, 'is kept for ever and must not name anybody: leave out addresses.')
  return reason
}
