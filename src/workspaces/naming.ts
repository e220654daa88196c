import { badInput, DomainError } from '../kernel/domain-error.js'
import { isStorable } from '../kernel/plain-text.js'
import { DatabaseError } from '../db/database-error.js'

export const NAME_LENGTH_MAX = 200
export const SLUG_LENGTH_MAX = 63
/** A reason an administrator gives; it stays in the admin log. */
export const REASON_CHARACTERS_MAX = 500
export const RETENTION_DAYS_MAX = 36_500
/** How often a slug made from a name is tried with another number behind it. */
const SLUG_ATTEMPTS_MAX = 50

/** The name without blanks around it. `BAD_USER_INPUT` where it is empty, too long or not plain text. */
export function validName(text: string, field: string): string {
  const name = text.trim()
  if (name === '') throw badInput(field, 'must not be empty.')
  // PostgreSQL counts code points.
  if ([...name].length > NAME_LENGTH_MAX) throw badInput(field, `must be at most ${NAME_LENGTH_MAX} characters long.`)
  if (!name.isWellFormed() || /\p{Cc}/u.test(name)) throw badInput(field, 'must not hold control characters.')
  return name
}

/** `BAD_USER_INPUT` where the text can't be a slug. */
export function validSlug(text: string, field: string): string {
  if (text.length > SLUG_LENGTH_MAX || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text))
    throw badInput(field, `must be 1 to ${SLUG_LENGTH_MAX} of a-z, 0-9 and -, and neither begin nor end with -.`)
  return text
}

/** A reason without blanks around it; null where there is none. `BAD_USER_INPUT` where it is too long or no plain text. */
export function optionalReason(text: string | null | undefined, field: string): string | null {
  const reason = text?.trim() ?? ''
  if (reason === '') return null
  if ([...reason].length > REASON_CHARACTERS_MAX)
    throw badInput(field, `must be at most ${REASON_CHARACTERS_MAX} characters long.`)
  if (!isStorable(reason)) throw badInput(field, 'must be plain text.')
  return reason
}

/** `BAD_USER_INPUT` where it is no number of days. */
export function validRetentionDays(days: number, field: string): number {
  if (!Number.isInteger(days) || days < 1 || days > RETENTION_DAYS_MAX)
    throw badInput(field, `must be a whole number of days from 1 to ${RETENTION_DAYS_MAX}.`)
  return days
}

/** A slug made from a name: letters without their accents, everything else a hyphen; `fallback` where nothing is left. */
export function slugFrom(name: string, fallback: string): string {
  const slug = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}+/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, SLUG_LENGTH_MAX)
    .replace(/^-+|-+$/g, '')
  return slug === '' ? fallback : slug
}

/**
 * Stores something under the slug that was asked for, or else under the first free one made from its name. `CONFLICT`
 * where the slug asked for is taken.
 */
export async function storeUnderSlug<T>(
  input: { readonly slug?: string | null | undefined; readonly name: string; readonly fallback: string },
  store: (slug: string) => Promise<T>,
): Promise<T> {
  const wanted = input.slug ?? undefined
  const base = wanted === undefined ? slugFrom(input.name, input.fallback) : validSlug(wanted, 'slug')
  for (let attempt = 1; ; attempt++) {
    try {
      return await store(attempt === 1 ? base : numbered(base, attempt))
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.kind !== 'unique_violation') throw error
      if (wanted === undefined && attempt < SLUG_ATTEMPTS_MAX) continue
      throw new DomainError('CONFLICT', 'The slug is taken.', { details: { field: 'slug' }, cause: error })
    }
  }
}

function numbered(base: string, number: number): string {
  const ending = `-${number}`
  return `${base.slice(0, SLUG_LENGTH_MAX - ending.length).replace(/-+$/, '')}${ending}`
}
