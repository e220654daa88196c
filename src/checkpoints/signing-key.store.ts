import type { Database } from '../db/database.js'
import { isRegion, type Region } from '../kernel/region.js'

const TIMEOUT_MS = 5_000

/** Whose trees a key signs: a region's workspaces, or the chains of the admin log. */
export type KeyHolder = Region | 'CONTROL'

const isKeyHolder = (text: string): text is KeyHolder => text === 'CONTROL' || isRegion(text)

/** A key as it is published. */
export interface PublishedKey {
  /** `<log name>/<region>`, or `<log name>/CONTROL`. */
  readonly name: string
  readonly region: KeyHolder
  /** Raw Ed25519, 32 bytes. */
  readonly publicKey: Buffer
  readonly createdAt: Date
  /** When another one took over. */
  readonly retiredAt: Date | null
}

interface KeyRow {
  readonly name: string
  readonly region: string
  readonly public_key: Buffer
  readonly created_at: Date
  readonly retired_at: Date | null
}

/** Every key that has ever signed, by name, oldest first. Throws DatabaseError. */
export async function listSigningKeys(control: Database): Promise<PublishedKey[]> {
  const rows = await control.query<KeyRow>(
    'select name, region, public_key, created_at, retired_at from signing_key order by name, created_at, public_key',
    [],
    { name: 'list_signing_keys', timeoutMs: TIMEOUT_MS },
  )
  return rows.flatMap(({ name, region, public_key: publicKey, created_at: createdAt, retired_at: retiredAt }) =>
    isKeyHolder(region) ? [{ name, region, publicKey, createdAt, retiredAt }] : [],
  )
}

/**
 * Publishes a region's keys and retires those of its name that are not `current`; a current key that was retired before
 * retires nothing. Answers all keys of that name. Throws DatabaseError.
 */
export async function registerSigningKeys(
  control: Database,
  keys: {
    readonly name: string
    readonly region: KeyHolder
    readonly known: readonly Buffer[]
    readonly current: Buffer
  },
  now: Date,
): Promise<PublishedKey[]> {
  // Together: between the two a process that still has the former key would take the new one for a stranger's and retire
  // it, for ever.
  await control.transaction({ timeoutMs: TIMEOUT_MS }, async (tx) => {
    await tx.query(
      `insert into signing_key (name, region, public_key, created_at)
       select $1, $2, k, $4 from unnest($3::bytea[]) as k on conflict do nothing`,
      [keys.name, keys.region, keys.known, now],
      'publish_signing_keys',
    )
    await tx.query(
      `update signing_key set retired_at = $3 where name = $1 and public_key <> $2 and retired_at is null
         and exists (select from signing_key where name = $1 and public_key = $2 and retired_at is null)`,
      [keys.name, keys.current, now],
      'retire_signing_keys',
    )
  })
  return (await listSigningKeys(control)).filter(({ name }) => name === keys.name)
}
