const keyBytesMax = 900
/** What file systems take as one name, less what temporary names add. */
const segmentBytesMax = 200
const segmentPattern = /^[A-Za-z0-9._=-]+$/

const isSegment = (text: string): boolean =>
  segmentPattern.test(text) && text.length <= segmentBytesMax && !/^\.+$/.test(text)

/** True for a key that {@link checkedKey} takes; other things in a bucket are none of ours. */
export const isKey = (key: string): boolean => key.length <= keyBytesMax && key.split('/').every(isSegment)

/**
 * The key itself where it is a relative path of `[A-Za-z0-9._=-]` segments, none of them only dots. Throws a TypeError
 * otherwise: keys are our own making, and one that could leave its folder or be read in two ways is our mistake.
 */
export function checkedKey(key: string): string {
  if (!isKey(key)) throw new TypeError('not a key of an object')
  return key
}

/** The same for the beginning of a key, which may be empty and may end anywhere. */
export function checkedPrefix(prefix: string): string {
  if (prefix === '') return prefix
  const segments = prefix.split('/')
  const last = segments.pop()!
  const whole = prefix.length <= keyBytesMax && segments.every(isSegment)
  if (!whole || !(last === '' || segmentPattern.test(last))) throw new TypeError('not the beginning of a key')
  return prefix
}

const restoreDaysMax = 365
const dayMs = 86_400_000

/** Throws a TypeError where nobody could mean so many days of a restore. */
export function checkedDays(days: number): number {
  if (!Number.isInteger(days) || days < 1 || days > restoreDaysMax) throw new TypeError('not a number of days')
  return days
}

/** The moment so many days later. */
export const daysAfter = (from: Date, days: number): Date => new Date(from.getTime() + days * dayMs)
