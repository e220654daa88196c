import {
  fromBase64,
  fromBytes,
  type Latin1,
  sha256,
  toBase64,
  toBytes,
  utf8Bytes,
  utf8Latin1,
  verifyEd25519,
} from './crypto.js'

/** A C2SP signed note (https://c2sp.org/signed-note): a text, and signatures by named keys under it. */
export interface SignedNote {
  /** What is signed: ends with a newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

export interface NoteSignature {
  readonly name: string
  /** The first 4 bytes of the hash of name and key: which of a name's keys it was. */
  readonly keyId: Latin1
  /** What stands after the key id: 64 bytes for Ed25519, other lengths for signatures unknown here. */
  readonly signature: Latin1
}

/** A public key under its name, as a verifier trusts it. */
export interface NoteKey {
  readonly name: string
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array
}

/** A key that signs. `sign` answers the Ed25519 signature (64 bytes) of the bytes it is given. */
export interface NoteSigner extends NoteKey {
  readonly sign: (message: Uint8Array) => Uint8Array
}

export const NOTE_CHARACTERS_MAX = 65_536
export const NOTE_SIGNATURES_MAX = 64

const KEY_ID_BYTES = 4
const ED25519 = '\x01'

/** Key names go into lines split at spaces, and `+` separates the parts of C2SP's key texts. */
export const isKeyName = (name: string): boolean => /^[^\s+]{1,255}$/u.test(name) && name.isWellFormed()

/** The first 4 bytes of sha(name ‖ 0x0A ‖ 0x01 ‖ public key). */
export function keyId({ name, publicKey }: NoteKey): Buffer {
  return toBytes(keyIdLatin1(name, fromBytes(publicKey)))
}

const keyIdLatin1 = (name: string, publicKey: Latin1): Latin1 =>
  sha256(toBytes(utf8Latin1(`${name}\n${ED25519}`) + publicKey)).slice(0, KEY_ID_BYTES)

/** The note of a text signed by each of the signers, in their order. `text` ends with a newline. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  if (!isNoteText(text)) throw new RangeError('the text of a note ends with a newline and has no control characters')
  const lines = signers.map((signer) => {
    if (!isKeyName(signer.name)) throw new RangeError('a key name is without spaces and plus signs')
    const signature = fromBytes(signer.sign(utf8Bytes(text)))
    return `— ${signer.name} ${toBase64(keyIdLatin1(signer.name, fromBytes(signer.publicKey)) + signature)}\n`
  })
  return `${text}\n${lines.join('')}`
}

/** Takes a note apart; null where it is none. Says nothing of its signatures: see {@link verifyNote}. */
export function parseNote(note: string): SignedNote | null {
  if (note.length > NOTE_CHARACTERS_MAX || !note.endsWith('\n')) return null
  const split = note.lastIndexOf('\n\n')
  if (split < 0) return null
  const text = note.slice(0, split + 1)
  if (!isNoteText(text)) return null
  const lines = note.slice(split + 2, -1).split('\n')
  if (lines.length > NOTE_SIGNATURES_MAX) return null
  const signatures: NoteSignature[] = []
  for (const line of lines) {
    const match = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line)
    const bytes = match === null ? null : decodeBase64(match[2]!)
    if (bytes === null || bytes.length <= KEY_ID_BYTES) return null
    signatures.push({ name: match![1]!, keyId: bytes.slice(0, KEY_ID_BYTES), signature: bytes.slice(KEY_ID_BYTES) })
  }
  return { text, signatures }
}

/**
 * The first of `keys` that signed the note, or null. Signatures by others are ignored; one that bears a trusted key's
 * name and id and doesn't verify makes the whole note void (null), as C2SP asks.
 */
export function verifyNote(note: SignedNote, keys: readonly NoteKey[]): NoteKey | null {
  let signer: NoteKey | null = null
  for (const { name, keyId: id, signature } of note.signatures) {
    const key = keys.find((k) => k.name === name && keyIdLatin1(k.name, fromBytes(k.publicKey)) === id)
    if (key === undefined) continue
    if (!verifyEd25519(fromBytes(key.publicKey), note.text, signature)) return null
    signer ??= key
  }
  return signer
}

/** The bytes of a base64 text, or null where another text would have been the canonical one for them. */
export function decodeBase64(text: string): Latin1 | null {
  const bytes = fromBase64(text)
  return toBase64(bytes) === text ? bytes : null
}

// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u0009\u000b-\u001f\u007f]/

/** Printable lines only: a control character could show a reader something else than what was signed. */
const isNoteText = (text: string): boolean =>
  text.length > 1 && text.endsWith('\n') && text.isWellFormed() && !controls.test(text)
