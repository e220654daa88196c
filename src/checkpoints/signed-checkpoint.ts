import { checkpointOrigin, parseCheckpoint, signCheckpoint } from '../ledger/checkpoint.js'
import { fromBytes } from '../ledger/crypto.js'
import { type NoteKey, verifyNote } from '../ledger/signed-note.js'
import { keyIdOf, type SigningKey } from './signing-keys.js'

/** A checkpoint as it is stored: at home, in control, or in another region. */
export interface SignedCheckpoint {
  readonly workspaceId: string
  readonly companyId: string
  /** At least 1. */
  readonly treeSize: number
  /** 32 bytes. */
  readonly rootHash: Buffer
  /** The C2SP signed note, byte for byte. */
  readonly note: string
  /** Ours, not covered by the signature. */
  readonly signedAt: Date
}

/** Signs a workspace's tree. */
export function makeCheckpoint(
  tree: {
    readonly workspaceId: string
    readonly companyId: string
    readonly treeSize: number
    readonly rootHash: Buffer
  },
  logName: string,
  key: SigningKey,
  signedAt: Date,
): SignedCheckpoint {
  const { workspaceId, companyId, treeSize, rootHash } = tree
  const note = signCheckpoint({ origin: checkpointOrigin(logName, workspaceId), treeSize, rootHash }, [key])
  return { workspaceId, companyId, treeSize, rootHash, note, signedAt }
}

/**
 * The id of the trusted key that signed exactly what a stored checkpoint says, or null: its columns were altered, or
 * its note is no note of this workspace, or none of these keys signed it.
 */
export function signerOf(checkpoint: SignedCheckpoint, logName: string, trusted: readonly NoteKey[]): string | null {
  const parsed = parseCheckpoint(checkpoint.note)
  if (parsed === null) return null
  const { origin, treeSize, rootHash } = parsed
  if (origin !== checkpointOrigin(logName, checkpoint.workspaceId)) return null
  if (treeSize !== checkpoint.treeSize || rootHash !== fromBytes(checkpoint.rootHash)) return null
  const key = verifyNote(parsed.note, trusted)
  return key === null ? null : keyIdOf(key.publicKey)
}
