import type { SigningKeys } from '../checkpoints/signing-keys.js'
import type { Region } from '../kernel/region.js'
import { parseNote, type NoteKey, verifyNote } from '../ledger/signed-note.js'

/**
 * The public key that signed a checkpoint of a region's chain, to be sent along with it: a hint for who verifies, never a
 * reason to trust. Empty where no key we know of signed it.
 */
export async function noteSigners(keys: SigningKeys, region: Region, note: string): Promise<readonly NoteKey[]> {
  const parsed = parseNote(note)
  if (parsed === null) return []
  const known = verifyNote(parsed, (await keys.of(region)).trusted)
  // Another process may have made a key since we looked.
  const signer = known ?? verifyNote(parsed, (await keys.refresh(region)).trusted)
  return signer === null ? [] : [{ name: signer.name, publicKey: signer.publicKey }]
}
