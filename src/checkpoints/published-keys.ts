import type { Database } from '../db/database.js'
import { listSigningKeys } from './signing-key.store.js'

/** What is served at `/.well-known/hyrelog-keys.json`. */
export interface PublishedKeys {
  readonly logName: string
  readonly keys: readonly {
    /** `<log name>/<region>`. */
    readonly name: string
    /** Raw public key, hexadecimal. */
    readonly ed25519: string
    readonly from: string
    /** When another key took over; what it signed before remains signed. */
    readonly retiredAt: string | null
  }[]
}

/** The public keys of a log, former ones too. Throws DatabaseError where the control database does not answer. */
export async function publishedKeys(control: Database, logName: string): Promise<PublishedKeys> {
  const keys = await listSigningKeys(control)
  return {
    logName,
    keys: keys
      .filter(({ name }) => name.startsWith(`${logName}/`))
      .map(({ name, publicKey, createdAt, retiredAt }) => ({
        name,
        ed25519: publicKey.toString('hex'),
        from: createdAt.toISOString(),
        retiredAt: retiredAt?.toISOString() ?? null,
      })),
  }
}
