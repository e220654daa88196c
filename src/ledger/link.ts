import {
  allocateBytes,
  fromBytes,
  fromHex,
  HASH_BYTES,
  type Latin1,
  sha256,
  toBytes,
  writeLatin1,
  writeUint32,
  writeUint64,
} from './crypto.js'

/** What stands for the hash before the first event. The API shows null instead. */
export const ZERO_HASH: Buffer = allocateBytes(HASH_BYTES)
export const ZERO_LATIN1: Latin1 = fromBytes(ZERO_HASH)

/** The 16 bytes of a plain lower-case UUID. */
export const uuidLatin1 = (uuid: string): Latin1 => fromHex(uuid.replaceAll('-', ''))

// 0x00 ‖ "HL1L" ‖ term4 ‖ workspace16 ‖ sequence8 ‖ prev32 ‖ bodyHash32
const TERM_AT = 5
const WORKSPACE_AT = 9
const SEQUENCE_AT = 25
const PREV_AT = 33
const BODY_HASH_AT = 65
const scratch = allocateBytes(97)
writeLatin1(scratch, '\0HL1L', 0)

/**
 * The hash of an event: sha(0x00 ‖ link), ledger format section 3. It chains the event to the one before, and is at the
 * same time the event's leaf hash in the Merkle tree of its workspace.
 */
export function linkHash(link: {
  /** From 1; up to 2^32 − 1. */
  readonly term: number
  readonly workspaceId: string
  /** From 1. */
  readonly sequence: number
  /** The hash before, {@link ZERO_HASH} at sequence 1. */
  readonly prevHash: Uint8Array
  readonly bodyHash: Uint8Array
}): Buffer {
  if (link.prevHash.length !== HASH_BYTES || link.bodyHash.length !== HASH_BYTES)
    throw new RangeError('a hash has 32 bytes')
  return toBytes(
    linkHashLatin1(
      link.term,
      uuidLatin1(link.workspaceId),
      link.sequence,
      fromBytes(link.prevHash),
      fromBytes(link.bodyHash),
    ),
  )
}

export function linkHashLatin1(
  term: number,
  workspace: Latin1,
  sequence: number,
  prevHash: Latin1,
  bodyHash: Latin1,
): Latin1 {
  writeUint32(scratch, term, TERM_AT)
  writeLatin1(scratch, workspace, WORKSPACE_AT)
  writeUint64(scratch, sequence, SEQUENCE_AT)
  writeLatin1(scratch, prevHash, PREV_AT)
  writeLatin1(scratch, bodyHash, BODY_HASH_AT)
  return sha256(scratch)
}
