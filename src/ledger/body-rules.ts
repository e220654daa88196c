import { findUnsafeInteger, type JsonObject, type JsonValue } from '../kernel/canonical-json.js'
import { type BodyFields, bodyText, isLabel } from './body.js'
import type { Latin1 } from './crypto.js'
import { type KeyRotation, verifyKeyRotation } from './key-rotation.js'
import { decodeBase64 } from './signed-note.js'

/** What an erasure event says of its erasure (ledger format, section 5). */
export interface ErasureMember {
  readonly disclosures: number
  readonly events: number
  readonly mode: string
  readonly request: string
  readonly root: Latin1
}

/** The member `system` of a body, understood. Kinds unknown here are carried, not judged. */
export type SystemMember =
  | { readonly kind: 'erasure'; readonly erasure: ErasureMember }
  | { readonly kind: 'term'; readonly region: string; readonly term: number }
  | { readonly kind: 'keyRotation'; readonly name: string; readonly old: Latin1; readonly new: Latin1 }
  | { readonly kind: 'other' }

export interface ReadBody {
  readonly fields: BodyFields
  /** The digests as they stand between the brackets. Whether they are in order and well formed: see {@link digestsOf}. */
  readonly digestsText: string
  readonly system: SystemMember | null
}

/** The digests of a body, base64, or null where they are not distinct SHA-256 digests in order. */
export function digestsOf({ digestsText }: ReadBody): readonly string[] | null {
  return digestsText === '' ? [] : readDigests(digestsText.slice(1, -1).split('","'))
}

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const REGION = '[A-Z][A-Z0-9]{0,15}'
const INSTANT =
  '(?!0000)\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d\\.\\d{3}Z'
const uuid = new RegExp(`^${UUID}$`)
const regionCode = new RegExp(`^${REGION}$`)
const instant = new RegExp(`^${INSTANT}$`)
// Printable ASCII without quote, backslash and @: labels of which there is only one notation.
const LABEL = '[ !#-?A-[\\]-~]{1,128}'
/**
 * A body as almost all are: no system member, labels in ASCII. What matches is canonical and keeps the rules on bodies,
 * but for days that don't exist and for digests; the rest goes the long way.
 */
const commonBody = new RegExp(
  `^\\{"action":"(${LABEL})","category":"(${LABEL})","company":"(${UUID})",` +
    `"digests":\\[((?:"[^"\\\\]{44}"(?:,"[^"\\\\]{44}")*)?)\\],"id":"(${UUID})","occurredAt":"(${INSTANT})",` +
    `"project":(?:null|"(${UUID})"),"receivedAt":"(${INSTANT})","region":"(${REGION})",` +
    `"targetType":(?:null|"(${LABEL})"),"v":1,"workspace":"(${UUID})"\\}$`,
)
// 32 bytes: 42 characters, one that ends in two zero bits, and the padding.
const digestBase64 = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/

export const isUuid = (value: unknown): value is string => typeof value === 'string' && uuid.test(value)

/** Whether a text is a time as bodies have it: UTC with milliseconds, years 0001–9999, a day that exists. */
export function isInstant(value: unknown): value is string {
  return typeof value === 'string' && instant.test(value) && dayExists(value)
}

const dayExists = (time: string): boolean =>
  time.charCodeAt(8) < 50 ||
  Number(time.slice(8, 10)) <= daysInMonth(Number(time.slice(0, 4)), Number(time.slice(5, 7)))

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/**
 * Reads a body, and holds it against every rule that concerns a body alone: exactly the members of section 2, each of
 * its shape, canonical (JCS(parse(body)) = body), digests in order and distinct, a known kind of system event well
 * formed. Answers a sentence saying what is wrong instead where something is.
 */
export function readBody(text: string): ReadBody | string {
  return readCommonBody(text) ?? readAnyBody(text)
}

function readCommonBody(text: string): ReadBody | null {
  const match = commonBody.exec(text)
  if (match === null || !dayExists(match[6]!) || !dayExists(match[8]!)) return null
  const fields = {
    id: match[5]!,
    workspace: match[11]!,
    company: match[3]!,
    region: match[9]!,
    project: match[7] ?? null,
    action: match[1]!,
    category: match[2]!,
    targetType: match[10] ?? null,
    occurredAt: match[6]!,
    receivedAt: match[8]!,
  }
  return { fields, digestsText: match[4]!, system: null }
}

function readAnyBody(text: string): ReadBody | string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return 'the body is not JSON'
  }
  if (!isObject(parsed)) return 'the body is not a JSON object'
  const fields = readFields(parsed)
  if (typeof fields === 'string') return fields
  const digests = readDigests(parsed['digests'])
  if (digests === null) return 'the digests of the body are not distinct SHA-256 digests in order'
  const rewritten = rewrite(fields, digests)
  // The writer puts down exactly the members of section 2 in canonical form: what differs has others, or isn't canonical.
  if (rewritten !== text) return 'the body is not in canonical form, or has other members than a body has'
  const digestsText = digests.length === 0 ? '' : `"${digests.join('","')}"`
  if (fields.system === undefined) return { fields, digestsText, system: null }
  const system = readSystem(fields.system, fields, digests)
  return typeof system === 'string' ? system : { fields, digestsText, system }
}

function rewrite(fields: BodyFields, digests: readonly string[]): string | null {
  try {
    return bodyText(fields, digests)
  } catch {
    // Only `system` can have no canonical form; the other members have been checked.
    return null
  }
}

function readFields(body: JsonObject): BodyFields | string {
  const { id, workspace, company, region, project, action, category, targetType, occurredAt, receivedAt, system } = body
  if (!isUuid(id) || !isUuid(workspace) || !isUuid(company) || !(project === null || isUuid(project)))
    return 'an id of the body is not a plain UUID'
  if (typeof region !== 'string' || !regionCode.test(region)) return 'the region of the body is not a region code'
  if (!isInstant(occurredAt) || !isInstant(receivedAt)) return 'a time of the body is not in UTC with milliseconds'
  if (!isLabelText(action) || !isLabelText(category) || !(targetType === null || isLabelText(targetType)))
    return 'action, category or target type is not 1–128 printable characters without @'
  if (body['v'] !== 1) return 'the body is not of version 1'
  const fields = { id, workspace, company, region, project, action, category, targetType, occurredAt, receivedAt }
  if (system === undefined) return fields
  if (!isObject(system) || findUnsafeInteger(system) !== null) return 'the system member of the body is not an object'
  return { ...fields, system }
}

const isLabelText = (value: unknown): value is string => typeof value === 'string' && isLabel(value)

function readDigests(value: JsonValue | undefined): readonly string[] | null {
  if (!Array.isArray(value)) return null
  let before = ''
  for (const digest of value as readonly unknown[]) {
    if (typeof digest !== 'string' || !digestBase64.test(digest) || before >= digest) return null
    before = digest
  }
  return value as readonly string[]
}

function readSystem(system: JsonObject, fields: BodyFields, digests: readonly string[]): SystemMember | string {
  if ('erasure' in system) {
    const erasure = isOnly(system, 'erasure') ? readErasure(system['erasure']) : null
    if (erasure === null || fields.action !== 'gdpr.erasure' || fields.category !== 'system' || digests.length > 0)
      return 'the body of the erasure is not that of an erasure event'
    return { kind: 'erasure', erasure }
  }
  if ('term' in system) {
    const term = isOnly(system, 'term') ? readTerm(system['term']) : null
    return term !== null && fields.action === 'ledger.term'
      ? term
      : 'the body is not that of a change of the home region'
  }
  if ('keyRotation' in system) {
    const rotation = isOnly(system, 'keyRotation') ? readRotation(system['keyRotation']) : null
    if (rotation === null || fields.action !== 'ledger.key') return 'the body is not that of a change of keys'
    const keys = verifyKeyRotation(rotation)
    return keys === null ? 'the change of keys is not signed by both keys' : { kind: 'keyRotation', ...keys }
  }
  return { kind: 'other' }
}

function readErasure(value: JsonValue | undefined): ErasureMember | null {
  if (!hasMembers(value, ['disclosures', 'events', 'mode', 'request', 'root'])) return null
  const { disclosures, events, mode, request, root } = value
  const rootBytes = typeof root === 'string' && digestBase64.test(root) ? decodeBase64(root) : null
  if (!isCount(disclosures) || !isCount(events) || events > disclosures || !isUuid(request) || rootBytes === null)
    return null
  if (mode !== 'ANONYMIZE' && mode !== 'DELETE' && mode !== 'RETENTION') return null
  return { disclosures, events, mode, request, root: rootBytes }
}

function readTerm(value: JsonValue | undefined): Extract<SystemMember, { kind: 'term' }> | null {
  if (!hasMembers(value, ['region', 'term'])) return null
  const { region, term } = value
  return typeof region === 'string' && regionCode.test(region) && isCount(term) ? { kind: 'term', region, term } : null
}

function readRotation(value: JsonValue | undefined): KeyRotation | null {
  if (!hasMembers(value, ['name', 'new', 'newSignature', 'old', 'oldSignature'])) return null
  return Object.values(value).every((text) => typeof text === 'string') ? (value as unknown as KeyRotation) : null
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isOnly = (object: JsonObject, member: string): boolean => Object.keys(object).join() === member

/** Whether a value is an object of exactly these members, which are given in order. */
const hasMembers = (value: JsonValue | undefined, members: readonly string[]): value is JsonObject =>
  isObject(value) && Object.keys(value).sort().join() === members.join()
