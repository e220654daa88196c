import { canonicalJson, type JsonObject, type JsonValue } from '../kernel/canonical-json.js'
import {
  allocateBytes,
  type Latin1,
  sha256,
  sha256Base64,
  toBytes,
  utf8Bytes,
  writeLatin1,
  writeUtf8,
} from './crypto.js'

/**
 * A field that may carry personal data: it can be erased, and what remains of it then is a digest nobody can guess
 * back, because the salt goes with the value (ledger format, section 1).
 */
export interface Disclosure {
  readonly path: string
  readonly value: JsonValue
  /** 16 bytes of a CSPRNG, never used twice. */
  readonly salt: Uint8Array
}

export const SALT_BYTES = 16

/** One change of an event. A member that was not sent is absent; one that was sent as null is null. */
export interface DisclosedChange {
  readonly field: string
  readonly old?: JsonValue
  readonly new?: JsonValue
}

/** The fields of an event that become disclosures. Null and absent are the same here: nothing to disclose. */
export interface DisclosableFields {
  readonly actor?: {
    readonly id?: string | null
    readonly email?: string | null
    readonly name?: string | null
  } | null
  readonly target?: { readonly id?: string | null } | null
  readonly payload?: JsonObject | null
  readonly metadata?: JsonObject | null
  readonly changes?: readonly DisclosedChange[] | null
  readonly traceId?: string | null
}

/** What the disclosures of an event still say; what was erased is absent. */
export interface DisclosedFields {
  readonly actor: { readonly id: string | null; readonly email: string | null; readonly name: string | null } | null
  readonly targetId: string | null
  /** {} where there is none. */
  readonly payload: JsonObject
  readonly metadata: JsonObject | null
  readonly changes: readonly DisclosedChange[] | null
  readonly traceId: string | null
}

const PREFIX: Latin1 = 'HL1.D\0'
const SALT_AT = PREFIX.length
const JSON_AT = SALT_AT + SALT_BYTES
const scratch = allocateBytes(16_384)
const jsonPart = scratch.subarray(JSON_AT)
writeLatin1(scratch, PREFIX, 0)

/** sha("HL1.D\0" ‖ salt ‖ JCS([path, value])), 32 bytes. Throws `NotCanonicalError` where the value is not I-JSON. */
export const disclosureDigest = (disclosure: Disclosure): Buffer => toBytes(sha256(preimage(disclosure)))

/** The digest as bodies hold it. */
export const disclosureDigestBase64 = (disclosure: Disclosure): string => sha256Base64(preimage(disclosure))

/** JCS([path, value]), what a digest commits to beside the salt. Throws `NotCanonicalError`. */
export const disclosureJson = ({ path, value }: Pick<Disclosure, 'path' | 'value'>): string =>
  `[${canonicalJson(path)},${canonicalJson(value)}]`

/** {@link disclosureDigestBase64} of a disclosure whose {@link disclosureJson} is known. */
export const jsonDigestBase64 = (json: string, salt: Uint8Array): string => sha256Base64(jsonPreimage(json, salt))

const preimage = (disclosure: Disclosure): Uint8Array => jsonPreimage(disclosureJson(disclosure), disclosure.salt)

/** What is hashed. Valid until the next call. */
function jsonPreimage(json: string, salt: Uint8Array): Uint8Array {
  if (salt.length !== SALT_BYTES) throw new RangeError('a salt has 16 bytes')
  scratch.set(salt, SALT_AT)
  const written = writeUtf8(jsonPart, json)
  if (written >= 0) return scratch.subarray(0, JSON_AT + written)
  const text = utf8Bytes(json)
  const whole = allocateBytes(JSON_AT + text.length)
  whole.set(scratch.subarray(0, JSON_AT))
  whole.set(text, JSON_AT)
  return whole
}

/** The disclosures of an event's fields, each with a salt of its own. `salt` answers 16 fresh random bytes. */
export function disclosuresOf(fields: DisclosableFields, salt: () => Uint8Array): Disclosure[] {
  const disclosures: Disclosure[] = []
  const disclose = (path: string, value: JsonValue | undefined): void => {
    if (value !== undefined) disclosures.push({ path, value, salt: salt() })
  }
  disclose('actor.id', fields.actor?.id ?? undefined)
  disclose('actor.email', fields.actor?.email ?? undefined)
  disclose('actor.name', fields.actor?.name ?? undefined)
  disclose('target.id', fields.target?.id ?? undefined)
  disclose('traceId', fields.traceId ?? undefined)
  for (const [key, value] of Object.entries(fields.payload ?? {})) disclose(`payload.${key}`, value)
  for (const [key, value] of Object.entries(fields.metadata ?? {})) disclose(`metadata.${key}`, value)
  for (const [index, change] of (fields.changes ?? []).entries())
    disclose(`changes.${index}`, {
      field: change.field,
      ...(change.old === undefined ? {} : { old: change.old }),
      ...(change.new === undefined ? {} : { new: change.new }),
    })
  return disclosures
}

/** The inverse of {@link disclosuresOf}, of as many disclosures as are left. Takes their paths and shapes as verified. */
export function fieldsOf(disclosures: Iterable<Omit<Disclosure, 'salt'>>): DisclosedFields {
  const plain = new Map<string, string>()
  const payload: [string, JsonValue][] = []
  const metadata: [string, JsonValue][] = []
  const changes: [number, DisclosedChange][] = []
  for (const { path, value } of disclosures) {
    if (path.startsWith('payload.')) payload.push([path.slice('payload.'.length), value])
    else if (path.startsWith('metadata.')) metadata.push([path.slice('metadata.'.length), value])
    else if (path.startsWith('changes.'))
      changes.push([Number(path.slice('changes.'.length)), value as unknown as DisclosedChange])
    else if (typeof value === 'string') plain.set(path, value)
  }
  const id = plain.get('actor.id') ?? null
  const email = plain.get('actor.email') ?? null
  const name = plain.get('actor.name') ?? null
  return {
    actor: id === null && email === null && name === null ? null : { id, email, name },
    targetId: plain.get('target.id') ?? null,
    // fromEntries defines members, so that a key such as __proto__ stays a key.
    payload: Object.fromEntries(payload),
    metadata: metadata.length === 0 ? null : Object.fromEntries(metadata),
    changes: changes.length === 0 ? null : changes.sort(([a], [b]) => a - b).map(([, change]) => change),
    traceId: plain.get('traceId') ?? null,
  }
}

/** Whether `path` is one of those of section 1, and `value` of the shape that belongs there. */
export function isDisclosable(path: string, value: JsonValue): boolean {
  if (path.startsWith('payload.') || path.startsWith('metadata.')) return true
  if (path.startsWith('changes.')) return /^(0|[1-9]\d{0,9})$/.test(path.slice('changes.'.length)) && isChange(value)
  return plainPaths.has(path) && typeof value === 'string'
}

const plainPaths = new Set(['actor.id', 'actor.email', 'actor.name', 'target.id', 'traceId'])

const isChange = (value: JsonValue): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  typeof (value as JsonObject)['field'] === 'string' &&
  Object.keys(value).every((member) => member === 'field' || member === 'old' || member === 'new')
