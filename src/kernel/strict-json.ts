/** One place in a JSON text that a parser would take and change without a word. */
export interface JsonTextFault {
  /** In JavaScript's notation, from the top: `variables.input.events[3].payload.amount`. */
  readonly path: string
  readonly message: string
}

export const JSON_FAULTS_MAX = 100
/** Of containers within containers, far above what any input limit lets through. */
export const JSON_SCAN_DEPTH_MAX = 256
/** Keys are the sender's: a path that repeats long ones a hundred times must not become a large answer. */
const PATH_CHARACTERS_MAX = 300
const SIGNIFICANT_DIGITS_MAX = 17
/** Up to here a linear look for a name is faster than a Set. */
const NAMES_IN_ARRAY_MAX = 12

const QUOTE = 34
const COMMA = 44
const MINUS = 45
const ZERO = 48
const NINE = 57
const COLON = 58
const OPEN_ARRAY = 91
const BACKSLASH = 92
const CLOSE_ARRAY = 93
const OPEN_OBJECT = 123
const CLOSE_OBJECT = 125

/**
 * Finds in a JSON text what is lost in parsing it: members named twice in one object (after unescaping), integers
 * beyond ±(2^53 − 1), numbers a double can't hold (too large, too small, more than 17 significant digits), nesting
 * beyond 256 levels (the scan ends there). At most 100 faults, in the order of the text; one pass, linear time.
 *
 * It judges well-formed JSON only. A malformed text gets an arbitrary answer, never an exception: refusing that is
 * the parser's part.
 */
export function scanJson(text: string): { readonly faults: readonly JsonTextFault[] } {
  return { faults: new Scanner(text).scan() }
}

/**
 * What is wrong with a number's literal, or null: the message says it of the member that holds it. Also for literals
 * that come from elsewhere than JSON, such as those of a GraphQL document.
 */
export function numberFault(literal: string): string | null {
  const value = Number(literal)
  if (Number.isNaN(value)) return null
  const size = Math.abs(value)
  if (size === Infinity) return 'is a number too large for a double.'
  const { digits, integer } = significantDigits(literal)
  if (size === 0) return digits > 0 ? 'is a number too small for a double.' : null
  // Below 1e21 a double beyond 2^53 prints as an integer, whatever it was written as; above, with an exponent.
  if (size > Number.MAX_SAFE_INTEGER && (integer || size < 1e21))
    return 'is an integer beyond ±(2^53 − 1); send it as a string.'
  return digits > SIGNIFICANT_DIGITS_MAX ? 'is a number of more than 17 significant digits; send it as a string.' : null
}

/** Counts the digits from the first to the last that isn't zero, and whether the literal is digits only. */
function significantDigits(literal: string): { digits: number; integer: boolean } {
  let seen = 0
  let digits = 0
  for (let at = 0; at < literal.length; at++) {
    const code = literal.charCodeAt(at)
    if (code >= ZERO && code <= NINE) {
      if (seen > 0 || code !== ZERO) seen++
      if (code !== ZERO) digits = seen
    } else if (code === 69 || code === 101) {
      return { digits, integer: false }
    }
  }
  return { digits, integer: !literal.includes('.') }
}

/** An object or array that the scan is inside of. */
interface Container {
  /** -1 in an object. */
  index: number
  name: string
  names: string[] | Set<string> | null
}

class Scanner {
  readonly #text: string
  readonly #faults: JsonTextFault[] = []
  readonly #open: Container[] = []
  #innermost: Container | null = null
  #expectName = false

  constructor(text: string) {
    this.#text = text
  }

  scan(): JsonTextFault[] {
    const text = this.#text
    for (let at = 0; at < text.length && this.#faults.length < JSON_FAULTS_MAX;) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) at = this.#string(at)
      else if (code === MINUS || (code >= ZERO && code <= NINE)) at = this.#number(at)
      else {
        at++
        if (code === COMMA) this.#next()
        else if (code === COLON) this.#expectName = false
        else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
          if (!this.#enter(code === OPEN_OBJECT)) break
        } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) this.#leave()
      }
    }
    return this.#faults
  }

  #enter(isObject: boolean): boolean {
    if (this.#open.length >= JSON_SCAN_DEPTH_MAX) {
      this.#fault('is nested too deeply.')
      return false
    }
    this.#innermost = { index: isObject ? -1 : 0, name: '', names: null }
    this.#open.push(this.#innermost)
    this.#expectName = isObject
    return true
  }

  #leave(): void {
    this.#open.pop()
    this.#innermost = this.#open[this.#open.length - 1] ?? null
    this.#expectName = false
  }

  #next(): void {
    if (this.#innermost === null) return
    if (this.#innermost.index >= 0) this.#innermost.index++
    else this.#expectName = true
  }

  /** Passes over the string that begins at `start`; answers where to go on. */
  #string(start: number): number {
    const text = this.#text
    let escaped = false
    let at = start + 1
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) break
      if (code === BACKSLASH) {
        escaped = true
        at++
      }
    }
    if (this.#expectName) this.#member(escaped ? unescape(text.slice(start, at + 1)) : text.slice(start + 1, at))
    return at + 1
  }

  #member(name: string): void {
    const container = this.#innermost
    this.#expectName = false
    if (container === null) return
    container.name = name
    if (container.names === null) container.names = [name]
    else if (container.names instanceof Set) {
      if (container.names.has(name)) this.#fault('is given more than once.')
      else container.names.add(name)
    } else if (container.names.includes(name)) this.#fault('is given more than once.')
    else if (container.names.push(name) > NAMES_IN_ARRAY_MAX) container.names = new Set(container.names)
  }

  #number(start: number): number {
    const text = this.#text
    let at = start + 1
    let plain = true
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code >= ZERO && code <= NINE) continue
      // Of + - . E e only a point leaves a short number harmless.
      if (code === 43 || code === 45 || code === 69 || code === 101) plain = false
      else if (code !== 46) break
    }
    // A double holds any fifteen digits: without an exponent a literal as short as that has nothing to lose.
    if (!plain || at - start > 15) {
      const message = numberFault(text.slice(start, at))
      if (message !== null) this.#fault(message)
    }
    return at
  }

  #fault(message: string): void {
    let path = ''
    for (const { index, name } of this.#open) {
      if (index >= 0) path += `[${index}]`
      else path += path === '' ? name : `.${name}`
      if (path.length > PATH_CHARACTERS_MAX) {
        path = `${path.slice(0, PATH_CHARACTERS_MAX)}…`
        break
      }
    }
    this.#faults.push({ path, message })
  }
}

/** The name a quoted and escaped text stands for. A malformed one stands for itself: the parser refuses it anyway. */
function unescape(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    return quoted
  }
}
