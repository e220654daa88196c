import { fromBytes, type Latin1, sha256, toBase64, toBytes, utf8Latin1, verifyEd25519 } from './crypto.js'
import { decodeBase64, isKeyName } from './signed-note.js'

/** The member `system.keyRotation` of an event `ledger.key`: base64 of raw keys and signatures. */
export interface KeyRotation {
  readonly name: string
  readonly old: string
  readonly new: string
  readonly oldSignature: string
  readonly newSignature: string
}

/** sha("HL1.K\0" ‖ name ‖ 0x0A ‖ old ‖ new): what both keys sign. */
export function rotationDigest(name: string, oldKey: Uint8Array, newKey: Uint8Array): Buffer {
  return toBytes(sha256(toBytes(utf8Latin1(`HL1.K\0${name}\n`) + fromBytes(oldKey) + fromBytes(newKey))))
}

/** Announces that the key of `name` is another from now on. Each `sign` signs the bytes it is given with Ed25519. */
export function buildKeyRotation(
  name: string,
  old: { readonly publicKey: Uint8Array; readonly sign: (message: Uint8Array) => Uint8Array },
  successor: { readonly publicKey: Uint8Array; readonly sign: (message: Uint8Array) => Uint8Array },
): KeyRotation {
  const digest = rotationDigest(name, old.publicKey, successor.publicKey)
  return {
    name,
    old: toBase64(fromBytes(old.publicKey)),
    new: toBase64(fromBytes(successor.publicKey)),
    oldSignature: toBase64(fromBytes(old.sign(digest))),
    newSignature: toBase64(fromBytes(successor.sign(digest))),
  }
}

/** The keys of a rotation that both keys signed, or null. Whether the old one is trusted is for the caller to know. */
export function verifyKeyRotation(rotation: KeyRotation): { name: string; old: Latin1; new: Latin1 } | null {
  const old = decodeBase64(rotation.old)
  const successor = decodeBase64(rotation.new)
  const oldSignature = decodeBase64(rotation.oldSignature)
  const newSignature = decodeBase64(rotation.newSignature)
  if (old?.length !== 32 || successor?.length !== 32 || oldSignature === null || newSignature === null) return null
  if (!isKeyName(rotation.name)) return null
  const digest = rotationDigest(rotation.name, toBytes(old), toBytes(successor))
  if (!verifyEd25519(old, digest, oldSignature) || !verifyEd25519(successor, digest, newSignature)) return null
  return { name: rotation.name, old, new: successor }
}
