import { toHex, utf8Text } from '../ledger/crypto.js'
import { fromBytes } from '../ledger/index.js'
import type { ArchivedLine } from '../events/archived-events.js'

/** A line of an archive object: that of an export (ledger format, section 7) with the sealed blobs in place of disclosures. */
export interface ArchiveLine extends ArchivedLine {
  readonly sequence: number
  readonly term: number
  /** 32 zero bytes at sequence 1. */
  readonly prevHash: Buffer
  readonly hash: Buffer
  /** As of when the object was written; later ones are in the database alone. */
  readonly tombstones: readonly { readonly digest: Buffer; readonly erasure: number }[]
}

/** A text that is no line of an archive object. */
export class NotAnArchiveLine extends Error {
  override readonly name = 'NotAnArchiveLine'
}

const hexOf = (bytes: Buffer): string => toHex(fromBytes(bytes))

/** A line without its newline. */
export function writeArchiveLine(line: ArchiveLine): string {
  const body = utf8Text(line.body)
  if (body === null) throw new NotAnArchiveLine('a body is not UTF-8')
  return JSON.stringify({
    body,
    sequence: line.sequence,
    term: line.term,
    prevHash: line.sequence === 1 ? null : hexOf(line.prevHash),
    hash: hexOf(line.hash),
    identity: line.identityBlob?.toString('base64') ?? null,
    content: line.contentBlob?.toString('base64') ?? null,
    tombstones: line.tombstones.map(({ digest, erasure }) => ({ digest: hexOf(digest), erasure })),
  })
}

const hex32 = /^[0-9a-f]{64}$/
const fault = (): NotAnArchiveLine => new NotAnArchiveLine('not a line of an archive object')

/** Reads a line. Throws {@link NotAnArchiveLine}. */
export function readArchiveLine(text: string): ArchiveLine {
  const line = parsed(text)
  const { body, sequence, term, prevHash, tombstones } = line
  if (typeof body !== 'string' || !isCount(sequence) || !isCount(term) || !Array.isArray(tombstones)) throw fault()
  return {
    body: Buffer.from(body, 'utf8'),
    sequence,
    term,
    prevHash: prevHash === null ? Buffer.alloc(32) : bytes32(prevHash),
    hash: bytes32(line['hash']),
    identityBlob: blobOf(line['identity']),
    contentBlob: blobOf(line['content']),
    tombstones: tombstones.map((one: unknown) => {
      const { digest, erasure } = (typeof one === 'object' && one !== null ? one : {}) as Record<string, unknown>
      if (!isCount(erasure)) throw fault()
      return { digest: bytes32(digest), erasure }
    }),
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const line: unknown = JSON.parse(text)
    if (typeof line === 'object' && line !== null) return line as Record<string, unknown>
  } catch {
    // Said below, without the text.
  }
  throw fault()
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1

function bytes32(value: unknown): Buffer {
  if (typeof value !== 'string' || !hex32.test(value)) throw fault()
  return Buffer.from(value, 'hex')
}

function blobOf(value: unknown): Buffer | null {
  if (value === null) return null
  if (typeof value !== 'string') throw fault()
  return Buffer.from(value, 'base64')
}
