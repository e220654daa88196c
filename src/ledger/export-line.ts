import type { JsonValue } from '../kernel/canonical-json.js'
import { scanJson } from '../kernel/strict-json.js'
import type { ChainEvent, ClaimedTombstone } from './chain-event.js'
import { fromBytes, fromHex, type Latin1, toBytes, toHex } from './crypto.js'
import type { Disclosure } from './disclosure.js'
import type { NoteKey } from './signed-note.js'
import type { BreakReason } from './verdict.js'

/** One line of an export (ledger format, section 7), read. */
export type ExportLine =
  | { readonly kind: 'event'; readonly event: ChainEvent }
  | { readonly kind: 'checkpoint'; readonly note: string; readonly publicKeys: readonly NoteKey[] }
  /** A line that is JSON but not a line of an export. `sequence` is null where the line doesn't tell it. */
  | { readonly kind: 'fault'; readonly reason: BreakReason; readonly detail: string; readonly sequence: number | null }
  | { readonly kind: 'notJson' }

type Members = Readonly<Record<string, unknown>>

class LineFault extends Error {
  readonly reason: BreakReason

  constructor(reason: BreakReason, detail: string) {
    super(detail)
    this.reason = reason
  }
}

const HEX_32 = /^[0-9a-f]{64}$/
const HEX_16 = /^[0-9a-f]{32}$/

/** Reads a line. Never throws, whatever the text. Members it doesn't know are ignored: nothing vouches for them. */
export function readExportLine(text: string): ExportLine {
  let line: unknown
  try {
    line = JSON.parse(text)
  } catch {
    return { kind: 'notJson' }
  }
  const sequence = isObject(line) && Number.isSafeInteger(line['sequence']) ? (line['sequence'] as number) : null
  try {
    if (!isObject(line)) throw new LineFault('HASH_MISMATCH', 'the line is not a JSON object')
    refuseLossy(text)
    return 'checkpoint' in line ? readCheckpoint(line) : { kind: 'event', event: readEvent(line) }
  } catch (error) {
    if (error instanceof LineFault) return { kind: 'fault', reason: error.reason, detail: error.message, sequence }
    throw error
  }
}

/** Names given twice and numbers a double can't hold: the value that was parsed is not what stands there. */
function refuseLossy(text: string): void {
  const [first] = scanJson(text).faults
  if (first === undefined) return
  const reason = first.path.startsWith('disclosures')
    ? 'COMMITMENT_MISMATCH'
    : first.path.startsWith('tombstones')
      ? 'TOMBSTONE_MISMATCH'
      : 'HASH_MISMATCH'
  throw new LineFault(reason, 'the line is not I-JSON: a name given twice, or a number that a double does not hold')
}

function readEvent(line: Members): ChainEvent {
  const { sequence, term, body, prevHash, hash, disclosures, tombstones, proof } = line
  if (!Number.isSafeInteger(sequence)) throw new LineFault('MISSING_EVENT', 'the line has no sequence')
  if (prevHash !== null && !isHex(prevHash, HEX_32))
    throw new LineFault('PREVIOUS_HASH_MISMATCH', 'prevHash is neither null nor a digest')
  if (typeof body !== 'string' || !body.isWellFormed() || typeof term !== 'number' || !isHex(hash, HEX_32))
    throw new LineFault('HASH_MISMATCH', 'body, term or hash of the line is missing or of another type')
  return {
    sequence: sequence as number,
    term,
    body,
    prevHash: prevHash === null ? null : fromHex(prevHash),
    hash: fromHex(hash),
    disclosures: listOf(disclosures, 'COMMITMENT_MISMATCH').map(readDisclosure),
    tombstones: listOf(tombstones, 'TOMBSTONE_MISMATCH').map(readTombstone),
    ...(proof === undefined ? {} : { proof: readProof(proof, 'CHECKPOINT_MISMATCH') }),
  }
}

function readDisclosure(value: unknown): Disclosure {
  if (!isObject(value) || typeof value['path'] !== 'string' || !('value' in value) || !isHex(value['salt'], HEX_16))
    throw new LineFault('COMMITMENT_MISMATCH', 'a disclosure is not path, value and a salt of 16 bytes')
  return { path: value['path'], value: value['value'] as JsonValue, salt: toBytes(fromHex(value['salt'])) }
}

function readTombstone(value: unknown): ClaimedTombstone {
  const { digest, erasure, index, proof }: Members = isObject(value) ? value : {}
  const isProven = index !== undefined || proof !== undefined
  if (!isHex(digest, HEX_32) || !Number.isSafeInteger(erasure) || (isProven && !Number.isSafeInteger(index)))
    throw new LineFault('TOMBSTONE_MISMATCH', 'a tombstone is not a digest and the sequence of an erasure')
  const claim = { digest: fromHex(digest), erasure: erasure as number }
  return isProven ? { ...claim, index: index as number, proof: readProof(proof, 'TOMBSTONE_MISMATCH') } : claim
}

function readProof(value: unknown, reason: BreakReason): readonly Latin1[] {
  return listOf(value, reason).map((hash) => {
    if (!isHex(hash, HEX_32)) throw new LineFault(reason, 'a proof is not a list of digests')
    return fromHex(hash)
  })
}

function readCheckpoint({ checkpoint, publicKeys }: Members): ExportLine {
  if (typeof checkpoint !== 'string') throw new LineFault('CHECKPOINT_MISMATCH', 'the checkpoint is not a text')
  const keys = listOf(publicKeys, 'CHECKPOINT_MISMATCH').map((key): NoteKey => {
    if (!isObject(key) || typeof key['name'] !== 'string' || !isHex(key['ed25519'], HEX_32))
      throw new LineFault('CHECKPOINT_MISMATCH', 'a public key is not a name and 32 bytes')
    return { name: key['name'], publicKey: toBytes(fromHex(key['ed25519'])) }
  })
  return { kind: 'checkpoint', note: checkpoint, publicKeys: keys }
}

function listOf(value: unknown, reason: BreakReason): readonly unknown[] {
  if (!Array.isArray(value)) throw new LineFault(reason, 'a list of the line is missing or of another type')
  return value
}

const isHex = (value: unknown, pattern: RegExp): value is string => typeof value === 'string' && pattern.test(value)

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An event as a line of an export, without the newline. Members of `event` that a verifier isn't given are left out. */
export function writeExportLine(event: ChainEvent): string {
  return JSON.stringify({
    body: event.body,
    sequence: event.sequence,
    term: event.term,
    prevHash: event.prevHash === null ? null : toHex(event.prevHash),
    hash: toHex(event.hash),
    disclosures: event.disclosures.map(({ path, value, salt }) => ({ path, value, salt: toHex(fromBytes(salt)) })),
    tombstones: event.tombstones.map(({ digest, erasure, index, proof }) => ({
      digest: toHex(digest),
      erasure,
      ...(proof === undefined ? {} : { index, proof: proof.map(toHex) }),
    })),
    ...(event.proof === undefined ? {} : { proof: event.proof.map(toHex) }),
  })
}

/** The last line of an export, without the newline. */
export function writeCheckpointLine(note: string, publicKeys: readonly NoteKey[]): string {
  const keys = publicKeys.map(({ name, publicKey }) => ({ name, ed25519: toHex(fromBytes(publicKey)) }))
  return JSON.stringify({ checkpoint: note, publicKeys: keys })
}
