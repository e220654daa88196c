import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import type { KeyVault } from '../sealing/key-vault.js'
import { SubjectKeys } from '../sealing/subject-keys.js'

/**
 * Subject keys for verifications, each with a memory of its own that begins empty: what is still in somebody's memory
 * proves nothing about what is stored.
 */
export class VerificationKeys {
  readonly #options: { readonly vault: KeyVault; readonly clock: Clock }
  readonly #inUse = new Set<SubjectKeys>()

  constructor(options: { readonly vault: KeyVault; readonly clock: Clock }) {
    this.#options = options
  }

  /** Work with keys that nobody has unwrapped yet; they are dropped at its end. */
  async use<T>(work: (keys: SubjectKeys) => Promise<T>): Promise<T> {
    const keys = new SubjectKeys(this.#options)
    this.#inUse.add(keys)
    try {
      return await work(keys)
    } finally {
      this.#inUse.delete(keys)
    }
  }

  /** Keys of the region were destroyed: what verifications under way have unwrapped of it is dropped. */
  forget(region: Region): void {
    for (const keys of this.#inUse) keys.forget(region)
  }
}
