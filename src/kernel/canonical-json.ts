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
  constructor(
    readonly reason: string,
    readonly path: string,
  ) {
    super(`${path === '' ? 'value' : path}: ${reason}`)
  }
}

/** True where the text has a surrogate without its partner: such text has no UTF-8. */
export const hasLoneSurrogate = (text: string): boolean => !text.isWellFormed()

function write(value: unknown, path: string): string {
  switch (typeof value) {
    case 'string':
      if (hasLoneSurrogate(value)) throw new NotCanonicalError('has a lone surrogate', path)
      return JSON.stringify(value)
    case 'number':
      if (!Number.isFinite(value)) throw new NotCanonicalError('is not a finite number', path)
      // Beyond 2^53 neighbours share a double. Numbers in exponent form (1e21) have no integer digits to lose.
      return Object.is(value, -0) ? '0' : JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object': {
      if (value === null) return 'null'
      if (Array.isArray(value)) return `[${value.map((item, index) => write(item, `${path}[${index}]`)).join(',')}]`
      // RFC 8785 sorts by UTF-16 code units, which is what the default comparison of strings does.
      const members = Object.keys(value).sort()
      let text = '{'
      for (const member of members) {
        const at = path === '' ? member : `${path}.${member}`
        if (hasLoneSurrogate(member)) throw new NotCanonicalError('has a lone surrogate in its name', path)
        if (text.length > 1) text += ','
        text += `${JSON.stringify(member)}:${write((value as Record<string, unknown>)[member], at)}`
      }
      return `${text}}`
    }
    default:
      throw new NotCanonicalError(`is a ${typeof value}, not JSON`, path)
  }
}

/**
 * The JSON Canonicalization Scheme (RFC 8785) of a JSON value: one text for one value, whatever the order of members
 * it came in. Throws {@link NotCanonicalError} for what has no canonical form. Whether an integer is beyond
 * ±(2^53 − 1) is for the reader of the text to refuse: after parsing, the digits are already lost.
 */
export const canonicalJson = (value: unknown): string => write(value, '')
