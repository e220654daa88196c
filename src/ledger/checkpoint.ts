import { fromBytes, HASH_BYTES, type Latin1, toBase64 } from './crypto.js'
import { decodeBase64, type NoteSigner, parseNote, type SignedNote, signNote } from './signed-note.js'

/** What a signed checkpoint says: the tree of `origin` had that root when it had that size (C2SP tlog-checkpoint). */
export interface Checkpoint {
  readonly origin: string
  readonly treeSize: number
  /** 32 bytes. */
  readonly rootHash: Latin1
  readonly note: SignedNote
}

const uuidPattern = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const originPattern = new RegExp(`^([^\\s+/]{1,200})/ws/(${uuidPattern})$`, 'u')

/** The first line of a workspace's checkpoints. The log name is host-like: no space, `+` or `/`. */
export function checkpointOrigin(logName: string, workspaceId: string): string {
  const origin = `${logName}/ws/${workspaceId}`
  if (!originPattern.test(origin)) throw new RangeError('a log name is without spaces, plus signs and slashes')
  return origin
}

/** The log name and workspace of an origin, or null where it isn't one of a workspace. */
export function parseOrigin(origin: string): { readonly logName: string; readonly workspaceId: string } | null {
  const match = originPattern.exec(origin)
  return match === null ? null : { logName: match[1]!, workspaceId: match[2]! }
}

/** The name of the key that signs for a region: `<log name>/<region code>`. */
export const regionKeyName = (logName: string, region: string): string => `${logName}/${region}`

/** A checkpoint as a signed note, byte for byte as it is stored and answered. */
export function signCheckpoint(
  checkpoint: { readonly origin: string; readonly treeSize: number; readonly rootHash: Uint8Array },
  signers: readonly NoteSigner[],
): string {
  const { origin, treeSize, rootHash } = checkpoint
  if (!Number.isSafeInteger(treeSize) || treeSize < 0 || rootHash.length !== HASH_BYTES)
    throw new RangeError('a checkpoint has a size and a root of 32 bytes')
  return signNote(`${origin}\n${treeSize}\n${toBase64(fromBytes(rootHash))}\n`, signers)
}

/** Takes a checkpoint apart; null where the text is none. Says nothing of its signatures. */
export function parseCheckpoint(text: string): Checkpoint | null {
  const note = parseNote(text)
  if (note === null) return null
  const [origin, size, root, end, ...more] = note.text.split('\n')
  // Three lines, no extensions; the size as it would be written again.
  if (origin === undefined || size === undefined || root === undefined || end !== '' || more.length > 0) return null
  const treeSize = /^(0|[1-9]\d{0,15})$/.test(size) ? Number(size) : Number.NaN
  const rootHash = decodeBase64(root)
  if (origin === '' || !Number.isSafeInteger(treeSize) || rootHash?.length !== HASH_BYTES) return null
  return { origin, treeSize, rootHash, note }
}
