import { type Checkpoint, parseOrigin, regionKeyName } from './checkpoint.js'
import { type Latin1, fromBytes, toBytes } from './crypto.js'
import { type NoteKey, verifyNote } from './signed-note.js'

/** What the verifier is told from outside; everything in an export that says the same is only a hint. */
export interface Trust {
  readonly logName?: string
  /** Keys by name (`<log name>/<region>`). Without any, who signed is not known. */
  readonly keys?: readonly NoteKey[]
}

export type SignerCheck =
  | { readonly fault: string }
  | { readonly fault: null; readonly signedBy: string | null; readonly pinned: boolean }

/** A change of keys that a chain announces, at the sequence of its event. */
export interface AnnouncedKey {
  readonly sequence: number
  readonly name: string
  readonly old: Latin1
  readonly new: Latin1
}

/**
 * Whether a checkpoint counts: signed for this log by the key of the workspace's home region at its size. `home` is null
 * where the events don't show it (a part of a chain): then any of the log's regional keys will do, and not the one of the
 * admin log.
 */
export function checkSigner(
  checkpoint: Checkpoint,
  trust: Trust,
  chain: { readonly home: string | null; readonly announced: readonly AnnouncedKey[] },
  carried: readonly NoteKey[],
): SignerCheck {
  const origin = parseOrigin(checkpoint.origin)
  if (origin === null) return { fault: 'the origin of the checkpoint is not that of a workspace' }
  if (trust.logName !== undefined && origin.logName !== trust.logName)
    return { fault: 'the checkpoint is one of another log' }
  const given = trust.keys ?? []
  const pinned = given.length > 0
  // Keys that an export carries are good enough to notice a damaged note, and for nothing else.
  const all = succeed(pinned ? given : carried, chain.announced, checkpoint.treeSize)
  const prefix = regionKeyName(origin.logName, '')
  const keys = all.filter(({ name }) =>
    chain.home === null
      ? name.startsWith(prefix) && name !== `${prefix}CONTROL`
      : name === regionKeyName(origin.logName, chain.home),
  )
  const signer = verifyNote(checkpoint.note, keys)
  if (signer !== null) return { fault: null, signedBy: signer.name, pinned }
  if (!pinned && carried.length === 0) return { fault: null, signedBy: null, pinned: false }
  return { fault: "the checkpoint is not signed by the key of the workspace's home region" }
}

/** The keys that count at `treeSize`: an announcement by a key that counts puts its successor in its place. */
function succeed(keys: readonly NoteKey[], announced: readonly AnnouncedKey[], treeSize: number): readonly NoteKey[] {
  let current = keys.map((key) => ({ name: key.name, publicKey: fromBytes(key.publicKey) }))
  for (const rotation of announced) {
    if (rotation.sequence > treeSize) break
    const isOld = (key: { name: string; publicKey: Latin1 }): boolean =>
      key.name === rotation.name && key.publicKey === rotation.old
    if (current.some(isOld))
      current = [...current.filter((key) => !isOld(key)), { name: rotation.name, publicKey: rotation.new }]
  }
  return current.map(({ name, publicKey }) => ({ name, publicKey: toBytes(publicKey) }))
}
