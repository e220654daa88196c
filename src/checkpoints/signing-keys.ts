import type { KeyObject } from 'node:crypto'
import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { DomainError } from '../kernel/domain-error.js'
import { regionKeyName } from '../ledger/checkpoint.js'
import type { NoteKey, NoteSigner } from '../ledger/signed-note.js'
import { noteSigner } from '../ledger/signing-key.js'
import { type KeyHolder, registerSigningKeys } from './signing-key.store.js'
import type { SigningKeyVault } from './signing-key-vault.js'

/** A key this process can sign with. */
export interface SigningKey extends NoteSigner {
  /** The public key in hexadecimal. */
  readonly id: string
}

/** The keys of one region as this process knows them. */
export interface RegionKeys {
  /** `<log name>/<region>`. */
  readonly name: string
  /** What new chains are signed with; null where this process has no key of the region. */
  readonly current: SigningKey | null
  /** The current and all former keys this process can sign with, by id. */
  readonly own: ReadonlyMap<string, SigningKey>
  /** What checkpoints are verified with: own keys, and those that other processes have published. */
  readonly trusted: readonly NoteKey[]
  /** Published, and not retired by another process: chains may be told that it takes over. */
  readonly mayAnnounce: boolean
}

export interface SigningKeysOptions {
  readonly logName: string
  readonly vault: SigningKeyVault
  /** Keys the operator holds, newest first: they take the place of generated ones. */
  readonly given: ReadonlyMap<KeyHolder, readonly KeyObject[]>
  readonly control: Database
  readonly clock: Clock
}

interface Loaded {
  keys: RegionKeys
  /** How many keys the vault holds. */
  readonly generated: number
}

export const keyIdOf = (publicKey: Uint8Array): string => Buffer.from(publicKey).toString('hex')

/**
 * The keys that sign checkpoints, by region: given by the operator, or generated at the first use and kept in the key
 * vault. They are published in the control database; signing does not wait for that.
 */
export class SigningKeys {
  readonly logName: string
  readonly #options: SigningKeysOptions
  readonly #loaded = new Map<KeyHolder, Promise<Loaded>>()

  constructor(options: SigningKeysOptions) {
    this.logName = options.logName
    this.#options = options
  }

  /** The region's keys, read once. Throws where the vault can't be read. */
  async of(region: KeyHolder): Promise<RegionKeys> {
    return (await this.#load(region)).keys
  }

  /** Looks again what the vault holds, and publishes. Throws DatabaseError where the control database does not answer. */
  async refresh(region: KeyHolder): Promise<RegionKeys> {
    const before = await this.#loaded.get(region)?.catch(() => undefined)
    this.#loaded.delete(region)
    const loaded = await this.#load(region)
    const { current, own, name } = loaded.keys
    if (before !== undefined && before.keys.current?.id === current?.id)
      loaded.keys = { ...loaded.keys, trusted: before.keys.trusted, mayAnnounce: before.keys.mayAnnounce }
    if (current === null) return loaded.keys
    const published = await registerSigningKeys(
      this.#options.control,
      {
        name,
        region,
        known: [...own.values()].map((key) => Buffer.from(key.publicKey)),
        current: Buffer.from(current.publicKey),
      },
      this.#options.clock.now(),
    )
    const others = published.filter(({ publicKey }) => !own.has(keyIdOf(publicKey)))
    loaded.keys = {
      ...loaded.keys,
      trusted: [...own.values(), ...others.map(({ publicKey }) => ({ name, publicKey }))],
      mayAnnounce: published.some(
        ({ publicKey, retiredAt }) => retiredAt === null && keyIdOf(publicKey) === current.id,
      ),
    }
    return loaded.keys
  }

  /**
   * Makes a new key for the region and publishes it as the one in use; answers both. Of two that do so at the
   * same moment one makes the key, and both answer it. `CONFLICT` where the key is the operator's, `REGION_UNAVAILABLE`
   * without the region's master key.
   */
  async makeSuccessor(region: KeyHolder): Promise<{ readonly former: SigningKey; readonly current: SigningKey }> {
    if (this.#options.given.has(region))
      throw new DomainError(
        'CONFLICT',
        `The signing key of ${region} comes from REGION_${region}_SIGNING_KEY: put a new key there in front of the present one, separated by a comma, and restart.`,
      )
    const before = await this.refresh(region)
    const { generated } = await this.#load(region)
    if (before.current === null)
      throw new DomainError('REGION_UNAVAILABLE', `Region ${region} has no master key in this process.`, {
        details: { regions: [region] },
      })
    await this.#options.vault.make(region, generated + 1)
    const { current } = await this.refresh(region)
    return { former: before.current, current: current! }
  }

  #load(region: KeyHolder): Promise<Loaded> {
    let loading = this.#loaded.get(region)
    if (loading === undefined) {
      loading = this.#read(region)
      this.#loaded.set(region, loading)
      // A failure is not kept.
      loading.catch(() => this.#loaded.delete(region))
    }
    return loading
  }

  async #read(region: KeyHolder): Promise<Loaded> {
    const { vault, given, logName } = this.#options
    const operators = given.get(region) ?? []
    let generated = await vault.load(region)
    if (operators.length === 0 && generated.length === 0 && vault.serves(region)) {
      await vault.make(region, 1)
      generated = await vault.load(region)
    }
    const name = regionKeyName(logName, region)
    const own = new Map<string, SigningKey>()
    for (const key of [...operators, ...generated.toReversed()]) {
      const signer = noteSigner(name, key)
      const id = keyIdOf(signer.publicKey)
      if (!own.has(id)) own.set(id, { ...signer, id })
    }
    const [current = null] = own.values()
    return {
      keys: { name, current, own, trusted: [...own.values()], mayAnnounce: false },
      generated: generated.length,
    }
  }
}
