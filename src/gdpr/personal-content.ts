import type { JsonValue } from '../kernel/canonical-json.js'
import type { Disclosure } from '../ledger/index.js'

/** A number counts as an identifier only where it is too long to be an amount by chance. */
const NUMERIC_IDENTIFIER_DIGITS_MIN = 6

/** Says of a disclosure whether one of the identifiers is in it. */
export type ContentMatcher = (disclosure: Disclosure) => boolean

/**
 * A matcher for identifiers, ids and addresses alike. They are looked for without regard to case, in strings, in keys,
 * in percent-encoded text, and as whole words: `u-1` is not in `u-12`, nor `ann@example.com` in `joann@example.com`.
 */
export function contentMatcher(identifiers: readonly string[]): ContentMatcher {
  const patterns = identifiers.map(patternOf)
  const numbers = new Set(identifiers.filter((one) => one.length >= NUMERIC_IDENTIFIER_DIGITS_MIN && /^\d+$/.test(one)))
  const inText = (text: string): boolean => patterns.some((pattern) => pattern.test(text)) || inDecoded(text)
  const inDecoded = (text: string): boolean => {
    const decoded = text.includes('%') ? percentDecoded(text) : text
    return decoded !== text && patterns.some((pattern) => pattern.test(decoded))
  }
  const inValue = (value: JsonValue): boolean => {
    if (typeof value === 'string') return inText(value)
    if (typeof value === 'number') return numbers.has(String(value))
    if (typeof value !== 'object' || value === null) return false
    if (Array.isArray(value)) return value.some(inValue)
    return Object.entries(value).some(([key, member]) => inText(key) || inValue(member))
  }
  return ({ path, value }) => inText(path.slice(path.indexOf('.') + 1)) || inValue(value)
}

const letter = String.raw`[\p{L}\p{N}]`

function patternOf(identifier: string): RegExp {
  const literal = identifier.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
  // What may stand beside an address without making it another one is less than beside a word.
  return identifier.includes('@')
    ? new RegExp(String.raw`(?<!${letter}|[._+\-])${literal}(?!${letter}|[.\-]${letter})`, 'iu')
    : new RegExp(`(?<!${letter})${literal}(?!${letter})`, 'iu')
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Not percent-encoded after all.
    return text
  }
}

// Keys that name personal data, written without case and separators: `firstName`, `first_name` and `First-Name` are one.
const personalKeys = new Set([
  'accountname', 'address', 'birthdate', 'birthday', 'cardnumber', 'city', 'clientip', 'creditcard', 'dateofbirth',
  'displayname', 'dob', 'driverlicense', 'driverslicense', 'email', 'emailaddress', 'familyname', 'fax', 'firstname',
  'fullname', 'gender', 'givenname', 'homeaddress', 'iban', 'ip', 'ipaddress', 'lastname', 'latitude', 'login',
  'loginname', 'longitude', 'mail', 'maidenname', 'middlename', 'mobile', 'nationalid', 'nickname', 'passport',
  'passportnumber', 'phone', 'phonenumber', 'postaladdress', 'postcode', 'principalid', 'remoteaddr', 'remoteip',
  'socialsecuritynumber', 'sourceip', 'sourceipaddress', 'ssn', 'street', 'streetaddress', 'surname', 'taxid',
  'telephone', 'useragent', 'useridentity', 'username', 'zipcode',
]) // oxfmt-ignore
const personalEndings = [
  'email',
  'emailaddress',
  'phone',
  'phonenumber',
  'firstname',
  'lastname',
  'fullname',
  'ipaddress',
  'dateofbirth',
]

/** True for a key that says that what stands under it is about a person. */
export function isPersonalKey(key: string): boolean {
  const word = key.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')
  return personalKeys.has(word) || personalEndings.some((ending) => word.endsWith(ending))
}

/** True where a disclosure of payload, metadata or changes stands under such a key, or has one in it. */
export function hasPersonalKey({ path, value }: Disclosure): boolean {
  if (path.startsWith('changes.')) {
    const { field } = value as { field: string }
    return field.split(/[.[\]/]/).some((part) => isPersonalKey(part)) || hasKeyWithin(value)
  }
  const isOpen = path.startsWith('payload.') || path.startsWith('metadata.')
  return isOpen && (isPersonalKey(path.slice(path.indexOf('.') + 1)) || hasKeyWithin(value))
}

function hasKeyWithin(value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(hasKeyWithin)
  return Object.entries(value).some(([key, member]) => isPersonalKey(key) || hasKeyWithin(member))
}
