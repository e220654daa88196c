import type { FaultList } from './fault-list.js'

/** How deep payload, metadata and changes may nest, they themselves being level 1. */
export const JSON_DEPTH_MAX = 32

// Digits only: numbers from 1e21 on are written with an exponent and have no integer digits to lose.
const allDigits = /^-?\d+$/

// oxlint-disable-next-line no-control-regex
const uncommon = /[\u0000-\u001f"\\\ud800-\udfff]/

/** What is wrong with a text, or null: text must have a UTF-8 form and fit PostgreSQL and every language's strings. */
export function textFault(text: string): string | null {
  if (!text.isWellFormed()) return 'must not hold a lone surrogate.'
  if (text.includes('\0')) return 'must not hold a NUL character.'
  return null
}

interface Scan {
  readonly faults: FaultList
  readonly root: string
  /** Members and indexes from the root to where the scan is. */
  readonly path: (string | number)[]
  tooDeep: boolean
}

function fault(scan: Scan, message: string): string {
  let field = scan.root
  for (const step of scan.path) field += typeof step === 'number' ? `[${step}]` : `.${step}`
  scan.faults.add(field, message)
  return 'null'
}

function writeNumber(scan: Scan, value: number): string {
  if (!Number.isFinite(value)) return fault(scan, 'must be a number that a double can hold.')
  if (value === 0) return '0'
  const text = String(value)
  if (!Number.isSafeInteger(value) && allDigits.test(text))
    return fault(scan, 'must be an integer within ±(2^53 − 1); send larger ones as strings.')
  return text
}

// Most texts need no escapes and have no faults, and this is the cheapest way to tell.
function writeText(scan: Scan, text: string): string {
  if (!uncommon.test(text)) return `"${text}"`
  const wrong = textFault(text)
  return wrong === null ? JSON.stringify(text) : fault(scan, wrong)
}

function writeName(scan: Scan, name: string): string {
  if (!uncommon.test(name)) return `"${name}"`
  const wrong = textFault(name)
  if (wrong !== null) fault(scan, `the member's name ${wrong}`)
  return JSON.stringify(name)
}

function writeMembers(scan: Scan, value: Readonly<Record<string, unknown>>, depth: number): string {
  // RFC 8785 sorts by UTF-16 code units, as the default comparison does. An own member named __proto__ is read as any
  // other: nothing is ever assigned by name here.
  const members = Object.keys(value).sort()
  let text = '{'
  for (const member of members) {
    scan.path.push(member)
    if (text.length > 1) text += ','
    text += `${writeName(scan, member)}:${write(scan, value[member], depth + 1)}`
    scan.path.pop()
  }
  return `${text}}`
}

function writeItems(scan: Scan, value: readonly unknown[], depth: number): string {
  let text = '['
  for (let index = 0; index < value.length; index++) {
    scan.path.push(index)
    if (index > 0) text += ','
    text += write(scan, value[index], depth + 1)
    scan.path.pop()
  }
  return `${text}]`
}

function write(scan: Scan, value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeText(scan, value)
    case 'number':
      return writeNumber(scan, value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depth > JSON_DEPTH_MAX) {
        scan.tooDeep = true
        return 'null'
      }
      return Array.isArray(value)
        ? writeItems(scan, value, depth)
        : writeMembers(scan, value as Record<string, unknown>, depth)
    default:
      return fault(scan, 'must be JSON.')
  }
}

/**
 * The canonical text (RFC 8785) of a JSON value, with everything that makes it unfit for the ledger (ledger format
 * HL1, section 1: I-JSON) added to `faults` under `root` and the path below it. `depth` is the level the value itself
 * stands on; values deeper than {@link JSON_DEPTH_MAX} are one fault of `root`. Where there are faults the text is not
 * to be used. Never throws.
 */
export function canonicalInput(value: unknown, root: string, faults: FaultList, depth = 1): string {
  const scan: Scan = { faults, root, path: [], tooDeep: false }
  const text = write(scan, value, depth)
  if (scan.tooDeep) faults.add(root, `must not nest deeper than ${JSON_DEPTH_MAX} levels.`)
  return text
}
