import { badInput } from './domain-error.js'
import { randomBytes } from './random.js'
import { isRegion, type Region } from './region.js'

/**
 * Global ids are TypeIDs (https://github.com/jetify-com/typeid, spec 0.3): a prefix, an underscore and a UUID in 26
 * characters of Crockford's base32. Things that live in a region carry it in the prefix (`evt_eu_…`), so that a look-up
 * by id asks one database.
 */
const plainPrefixes = {
  company: 'co',
  workspace: 'ws',
  project: 'prj',
  apiKey: 'key',
  user: 'usr',
  invitation: 'inv',
  adminEvent: 'adm',
  gdprRequest: 'gdpr',
  legalHold: 'hold',
  jobRun: 'run',
} as const
const regionalPrefixes = { event: 'evt', export: 'exp', archiveObject: 'arc' } as const

export type PlainKind = keyof typeof plainPrefixes
export type RegionalKind = keyof typeof regionalPrefixes
export type GlobalId =
  | { readonly kind: PlainKind; readonly uuid: string }
  | { readonly kind: RegionalKind; readonly uuid: string; readonly region: Region }

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const alphabetIndex = new Map([...alphabet].map((char, value) => [char, value]))
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Plain lower-case UUID text of 16 bytes. */
export function uuidFromBytes(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += hex[bytes[i]!]!
  }
  return text
}

/** The 16 bytes of a UUID. */
export const uuidToBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex')

/** Writes the 16 bytes of a UUID in its usual text form. */
export function writeUuid(target: Buffer, uuid: string, at: number): void {
  target.write(uuid.replaceAll('-', ''), at, 'hex')
}

let lastMs = -1
let counter = 0

/**
 * A new UUIDv7 (RFC 9562, section 5.7; `rand_a` is a counter within the millisecond, method 1), so that ids made one
 * after another in one process sort in that order.
 */
export function newUuid(nowMs: number = Date.now()): string {
  const bytes = randomBytes(16)
  if (nowMs === lastMs && counter < 0xfff) counter++
  else counter = (((bytes[6]! << 8) | bytes[7]!) & 0x7ff) >>> 0
  lastMs = nowMs
  bytes.writeUIntBE(nowMs, 0, 6)
  bytes[6] = 0x70 | (counter >>> 8)
  bytes[7] = counter & 0xff
  bytes[8] = 0x80 | (bytes[8]! & 0x3f)
  return uuidFromBytes(bytes)
}

function encodeSuffix(uuid: string): string {
  const bytes = uuidToBytes(uuid)
  // 128 bits are 26 groups of five with two zero bits in front.
  let text = ''
  let bits = 2
  let value = 0
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(value >>> bits) & 31]!
    }
    value &= (1 << bits) - 1
  }
  return text
}

function decodeSuffix(suffix: string): string | null {
  if (suffix.length !== 26 || suffix[0]! > '7') return null
  const bytes = Buffer.alloc(16)
  let at = 0
  let bits = -2
  let value = 0
  for (const char of suffix) {
    const digit = alphabetIndex.get(char)
    if (digit === undefined) return null
    value = (value << 5) | digit
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (value >>> bits) & 0xff
    }
    value &= (1 << Math.max(bits, 0)) - 1
  }
  return uuidFromBytes(bytes)
}

/** The API id of a thing known in the control database. */
export const encodeId = (kind: PlainKind, uuid: string): string => `${plainPrefixes[kind]}_${encodeSuffix(uuid)}`

/** The API id of a thing that lives in a region. */
export const encodeRegionalId = (kind: RegionalKind, region: Region, uuid: string): string =>
  `${regionalPrefixes[kind]}_${region.toLowerCase()}_${encodeSuffix(uuid)}`

/** What an API id names, or null where the text is no id of ours. */
export function parseGlobalId(text: string): GlobalId | null {
  const end = text.lastIndexOf('_')
  if (end < 0 || text.length > 64) return null
  const uuid = decodeSuffix(text.slice(end + 1))
  if (uuid === null) return null
  const prefix = text.slice(0, end)
  for (const kind of Object.keys(plainPrefixes) as PlainKind[])
    if (plainPrefixes[kind] === prefix) return { kind, uuid }
  for (const kind of Object.keys(regionalPrefixes) as RegionalKind[]) {
    const own = `${regionalPrefixes[kind]}_`
    const code = prefix.slice(own.length)
    if (prefix.startsWith(own) && code === code.toLowerCase() && isRegion(code.toUpperCase()))
      return { kind, uuid, region: code.toUpperCase() as Region }
  }
  return null
}

/** The UUID of an API id of one kind. `BAD_USER_INPUT` naming `field` where it is none. */
export function decodeId(kind: PlainKind, text: string, field: string): string {
  const id = parseGlobalId(text)
  if (id?.kind !== kind) throw badInput(field, `must be an id that begins with ${plainPrefixes[kind]}_.`)
  return id.uuid
}

/** Region and UUID of an API id of one kind. `BAD_USER_INPUT` naming `field` where it is none. */
export function decodeRegionalId(kind: RegionalKind, text: string, field: string): { uuid: string; region: Region } {
  const id = parseGlobalId(text)
  if (id?.kind !== kind)
    throw badInput(field, `must be an id that begins with ${regionalPrefixes[kind]}_ and a region.`)
  return { uuid: id.uuid, region: id.region }
}
