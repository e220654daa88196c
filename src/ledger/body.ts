import { canonicalJson, type JsonObject } from '../kernel/canonical-json.js'
import { allocateBytes, type Latin1, sha256, toBytes, utf8Bytes, writeLatin1, writeUtf8 } from './crypto.js'
import { type Disclosure, disclosureDigestBase64 } from './disclosure.js'

/** The members of a body that the caller decides (ledger format, section 2). Ids are plain lower-case UUIDs. */
export interface BodyFields {
  readonly id: string
  readonly workspace: string
  readonly company: string
  /** The code of the workspace's home region when the event was accepted; `CONTROL` in the admin log. */
  readonly region: string
  readonly project: string | null
  /** 1–128 printable characters without `@`, as are category and targetType: see {@link isLabel}. */
  readonly action: string
  readonly category: string
  readonly targetType: string | null
  /** `YYYY-MM-DDTHH:mm:ss.sssZ`, cut to milliseconds. */
  readonly occurredAt: string
  readonly receivedAt: string
  /** Only in events of the service's own: it is what makes them so. */
  readonly system?: JsonObject
}

export const LABEL_CHARACTERS_MAX = 128

// Controls, line and paragraph separators, byte-order mark, invisible and direction-changing characters, surrogates
// left alone. The list is spelt out, not a Unicode category: categories change, and a verdict must not.
const unprintable =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\uffff@]|\p{Cs}/u

/**
 * Whether a text can be an action, a category or a target type: 1–128 printable characters (code points) without `@`.
 * They stay for ever, so they must not name a person.
 */
export function isLabel(text: string): boolean {
  if (text.length === 0 || text.length > 2 * LABEL_CHARACTERS_MAX || unprintable.test(text)) return false
  return text.length <= LABEL_CHARACTERS_MAX || [...text].length <= LABEL_CHARACTERS_MAX
}

/** The body's text from its fields and its digests (base64, in the order of their characters). */
export function bodyText(fields: BodyFields, digests: readonly string[]): string {
  // Written out in JCS's order of members: twice as fast as sorting them for every event.
  return (
    `{"action":${JSON.stringify(fields.action)}` +
    `,"category":${JSON.stringify(fields.category)}` +
    `,"company":"${fields.company}"` +
    `,"digests":${digests.length === 0 ? '[]' : `["${digests.join('","')}"]`}` +
    `,"id":"${fields.id}"` +
    `,"occurredAt":"${fields.occurredAt}"` +
    `,"project":${fields.project === null ? 'null' : `"${fields.project}"`}` +
    `,"receivedAt":"${fields.receivedAt}"` +
    `,"region":"${fields.region}"` +
    (fields.system === undefined ? '' : `,"system":${canonicalJson(fields.system)}`) +
    `,"targetType":${fields.targetType === null ? 'null' : JSON.stringify(fields.targetType)}` +
    `,"v":1,"workspace":"${fields.workspace}"}`
  )
}

/**
 * The body of an event, byte for byte as it is stored and hashed, and its hash. The caller has validated the fields
 * ({@link isLabel}, ids, times) and the values (I-JSON). Throws where two disclosures have one path or one digest:
 * that is a fault of ours, no client can cause it.
 */
export function buildBody(fields: BodyFields, disclosures: readonly Disclosure[]): { body: Buffer; bodyHash: Buffer } {
  return buildBodyOfDigests(fields, disclosures, disclosures.map(disclosureDigestBase64))
}

/** {@link buildBody} where the disclosures' digests, in base64 and in their order, are known. */
export function buildBodyOfDigests(
  fields: BodyFields,
  disclosures: readonly Pick<Disclosure, 'path'>[],
  digestsBase64: readonly string[],
): { body: Buffer; bodyHash: Buffer } {
  // In the order of the base64 texts, which is not that of the digests' own bytes: the published vectors decide it.
  const digests = [...digestsBase64].sort()
  const isTwice = (digest: string, index: number): boolean => digest === digests[index + 1]
  if (digests.some(isTwice) || new Set(disclosures.map((d) => d.path)).size !== digests.length)
    throw new Error('the disclosures of an event must differ in path and digest')
  const body = utf8Bytes(bodyText(fields, digests))
  return { body, bodyHash: toBytes(bodyHashLatin1(body)) }
}

const PREFIX: Latin1 = 'HL1.B\0'
let scratch = allocateBytes(16_384)
let bodyPart = scratch.subarray(PREFIX.length)
writeLatin1(scratch, PREFIX, 0)

/** sha("HL1.B\0" ‖ body), 32 bytes. */
export const bodyHash = (body: Uint8Array): Buffer => toBytes(bodyHashLatin1(body))

function bodyHashLatin1(body: Uint8Array): Latin1 {
  reserve(body.length)
  bodyPart.set(body)
  return sha256(scratch.subarray(0, PREFIX.length + body.length))
}

/** The hash of a body given as text. */
export function bodyTextHash(body: string): Latin1 {
  // A UTF-16 unit is at most three bytes of UTF-8.
  reserve(3 * body.length)
  return sha256(scratch.subarray(0, PREFIX.length + writeUtf8(bodyPart, body)))
}

function reserve(size: number): void {
  if (size <= bodyPart.length) return
  scratch = allocateBytes(2 * (PREFIX.length + size))
  bodyPart = scratch.subarray(PREFIX.length)
  writeLatin1(scratch, PREFIX, 0)
}
