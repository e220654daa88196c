import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { generateSigningKey, seedOf, signingKeyFromSeed } from '../ledger/signing-key.js'
import type { KeyHolder } from './signing-key.store.js'
import { createOnce, readIfThere, syncDirectory } from '../sealing/key-vault.js'
import { derivedKey, openSecret, sealSecret } from '../sealing/secret-box.js'

/**
 * Generated signing keys in `<directory>/<region>/signing-key-<n>.key`, the highest number being the present one. A file
 * holds the key's seed wrapped under the region's master key; it is never replaced. Former keys are kept: a region that
 * is restored from a backup of their time announces their successors with them once more.
 */
export class SigningKeyVault {
  readonly #directory: string
  readonly #wrapKeys: ReadonlyMap<KeyHolder, KeyObject>

  constructor(options: { readonly directory: string; readonly masterKeys: ReadonlyMap<KeyHolder, KeyObject> }) {
    this.#directory = options.directory
    this.#wrapKeys = new Map(
      [...options.masterKeys].map(([region, key]) => [region, derivedKey(key, `hyrelog signing key wrap ${region}`)]),
    )
  }

  /** Whether this process has the region's master key, without which there is nothing to open or make. */
  serves(region: KeyHolder): boolean {
    return this.#wrapKeys.has(region)
  }

  /** The region's keys, oldest first; none before the first was made. Throws SealBrokenError. */
  async load(region: KeyHolder): Promise<KeyObject[]> {
    const wrap = this.#wrapKeys.get(region)
    const keys: KeyObject[] = []
    if (wrap === undefined) return keys
    for (let number = 1; ; number++) {
      const wrapped = await readIfThere(this.#path(region, number))
      if (wrapped === null) break
      keys.push(signingKeyFromSeed(openSecret(wrap, sealName(region, number), wrapped)))
    }
    // Another process may have made the newest and not have got as far as this; what it signs must stay verifiable.
    if (keys.length > 0) await syncDirectory(join(this.#directory, region.toLowerCase()))
    return keys
  }

  /** Makes the key of this number, unless it is there: of several processes that do so at once, one has made it. */
  async make(region: KeyHolder, number: number): Promise<void> {
    const wrap = this.#wrapKeys.get(region)
    if (wrap === undefined) throw new Error(`no master key of region ${region}`)
    const sealed = sealSecret(wrap, sealName(region, number), seedOf(generateSigningKey()))
    await createOnce(join(this.#directory, region.toLowerCase()), this.#path(region, number), sealed)
  }

  #path(region: KeyHolder, number: number): string {
    return join(this.#directory, region.toLowerCase(), `signing-key-${number}.key`)
  }
}

const sealName = (region: KeyHolder, number: number): string => `signing key ${number} of region ${region}`
