export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue }
export type JsonObject = { readonly [member: string]: JsonValue }

/** Thrown by {@link canonicalJson}: the value is not I-JSON (RFC 7493). `path` is where, in JavaScript's notation. */
export class NotCanonicalError extends Error {
  override readonly name = 'NotCanonicalError'
  readonly reason: string
  readonly path: string

  constructor(reason: string, path: string) {
    super(`${path === '' ? 'value' : path}: ${reason}`)
    this.reason = reason
    this.path = path
  }
}

/** Far above what any input limit lets through: only so that hostile nesting ends in an error and not in the stack. */
export const CANONICAL_DEPTH_MAX = 512

/** True where the text has a surrogate without its partner: such text has no UTF-8. */
export const hasLoneSurrogate = (text: string): boolean => !text.isWellFormed()

/** The path while it is being built: only a fault pays for turning it into text. */
interface Place {
  readonly parent: Place | null
  readonly step: string | number
}

function pathOf(place: Place | null): string {
  const steps: (string | number)[] = []
  for (let at = place; at !== null; at = at.parent) steps.push(at.step)
  let path = ''
  for (const step of steps.reverse()) path += typeof step === 'number' ? `[${step}]` : path === '' ? step : `.${step}`
  return path
}

// oxlint-disable-next-line no-control-regex
const uncommon = /[\u0000-\u001f"\\\ud800-\udfff]/

/** Most texts need no escapes: saying so takes a third of the time that finding it out in JSON.stringify does. */
function quote(text: string, place: Place | null): string {
  if (!uncommon.test(text)) return `"${text}"`
  if (hasLoneSurrogate(text)) throw new NotCanonicalError('has a lone surrogate', pathOf(place))
  return JSON.stringify(text)
}

function writeObject(value: Readonly<Record<string, unknown>>, place: Place | null, depth: number): string {
  // RFC 8785 sorts by UTF-16 code units, which is what the default comparison of strings does.
  const members = Object.keys(value).sort()
  let text = '{'
  for (const member of members) {
    if (text.length > 1) text += ','
    text += `${quote(member, place)}:${write(value[member], { parent: place, step: member }, depth + 1)}`
  }
  return `${text}}`
}

function writeArray(value: readonly unknown[], place: Place | null, depth: number): string {
  let text = '['
  for (let index = 0; index < value.length; index++) {
    if (index > 0) text += ','
    text += write(value[index], { parent: place, step: index }, depth + 1)
  }
  return `${text}]`
}

function write(value: unknown, place: Place | null, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quote(value, place)
    case 'number':
      if (!Number.isFinite(value)) throw new NotCanonicalError('is not a finite number', pathOf(place))
      // ECMAScript's own notation is the one RFC 8785 prescribes; it prints -0 as 0.
      return String(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depth >= CANONICAL_DEPTH_MAX) throw new NotCanonicalError('is nested too deeply', pathOf(place))
      return Array.isArray(value)
        ? writeArray(value, place, depth)
        : writeObject(value as Record<string, unknown>, place, depth)
    default:
      throw new NotCanonicalError(`is a ${typeof value}, not JSON`, pathOf(place))
  }
}

/**
 * The JSON Canonicalization Scheme (RFC 8785) of a JSON value: one text for one value, whatever the order of members
 * it came in. Throws {@link NotCanonicalError} for what has no canonical form. Integers beyond ±(2^53 − 1) are for the
 * reader of the text to refuse (strict-json.ts), or by {@link findUnsafeInteger} where there is no text.
 */
export const canonicalJson = (value: unknown): string => write(value, null, 0)

/**
 * The path of the first number that canonical JSON would print as digits only although a double doesn't hold every
 * integer of that size (beyond ±(2^53 − 1)), or null. 1e21 prints with an exponent and is none.
 */
export function findUnsafeInteger(value: JsonValue): string | null {
  const place = unsafeInteger(value, null, 0)
  return place === null ? null : pathOf(place.at)
}

function unsafeInteger(value: JsonValue, place: Place | null, depth: number): { at: Place | null } | null {
  if (typeof value === 'number') {
    const size = Math.abs(value)
    return size > Number.MAX_SAFE_INTEGER && size < 1e21 ? { at: place } : null
  }
  if (typeof value !== 'object' || value === null || depth >= CANONICAL_DEPTH_MAX) return null
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const found = unsafeInteger(value[index] as JsonValue, { parent: place, step: index }, depth + 1)
      if (found !== null) return found
    }
    return null
  }
  for (const member of Object.keys(value)) {
    const found = unsafeInteger((value as JsonObject)[member]!, { parent: place, step: member }, depth + 1)
    if (found !== null) return found
  }
  return null
}
