import type { Region } from '../kernel/region.js'
import type { SigningKeys } from './signing-keys.js'

/** What a rotation did. */
export interface KeyRotationReport {
  /** `<log name>/<region>`. */
  readonly name: string
  /** Public keys, hexadecimal. */
  readonly former: string
  readonly current: string
}

/**
 * Puts a new signing key in the place of a region's present one. Publishing it tells every running process, and these
 * append an event `ledger.key`, signed by both keys, to each chain of the region: a chain is signed by the former key
 * until it has been told, by the new one from then on, whoever ends or starts meanwhile. `CONFLICT` where the key is
 * given by the operator, `REGION_UNAVAILABLE` where there is no master key; throws DatabaseError.
 */
export async function rotateSigningKey(keys: SigningKeys, region: Region): Promise<KeyRotationReport> {
  const { former, current } = await keys.makeSuccessor(region)
  return { name: current.name, former: former.id, current: current.id }
}
