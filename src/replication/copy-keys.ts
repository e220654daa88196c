import type { Transaction } from '../db/database.js'
import { byteaArray, integerArray, smallintArray, textArray, uuidArray } from '../events/binary-array.js'
import { randomBytes } from '../kernel/random.js'
import type { Region } from '../kernel/region.js'
import { BucketKeyReplacedError } from '../sealing/key-vault.js'
import { blobKeyId } from '../sealing/sealed-blob.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import { unwrapKey, wrapKey } from '../sealing/subject-keys.js'
import { TAG_BYTES } from '../sealing/tags.js'
import type { ColumnArrays } from './event-columns.js'
import { type HomeKey, readKeys } from './home.store.js'
import { elementsOf } from './read-array.js'
import type { ReplicatedChain } from './replica-chain.js'
import { atHome } from './replica-transaction.js'
import type { ReplicationDeps } from './replication-deps.js'

/** Buckets turn seldom: more than this in a row is a fault of ours. */
const TURNS_MET_MAX = 5

/** Ids of the keys that seal these events. */
export function keyIdsIn(columns: ColumnArrays): Set<string> {
  const ids = new Set<string>()
  for (const blobs of [columns.identity_blob, columns.content_blob])
    for (const blob of elementsOf(blobs)) if (blob !== null) ids.add(blobKeyId(blob))
  return ids
}

/** Keys a replica is to be given, and how often the buckets of its region have turned. */
export interface MissingKeys {
  readonly ids: ReadonlySet<string>
  readonly generations: ReadonlyMap<number, number>
}

/**
 * Which keys of those that seal some events a replica does not have yet. Until the caller's transaction ends no key of
 * the replica region is destroyed, and none that home destroys meanwhile is missed: the lock is taken before home is
 * asked, which {@link addKeys} does.
 */
export async function missingKeys(tx: Transaction, ids: ReadonlySet<string>): Promise<MissingKeys> {
  const [, known, turned] = await Promise.all([
    tx.query('select hold_subject_keys()', [], 'hold_keys'),
    tx.query<{ id: string }>(
      'select id from subject_key where id = any ($1::uuid[])',
      [uuidArray([...ids])],
      'known_keys',
    ),
    tx.query<{ bucket: number; generation: number }>(
      'select bucket, generation from key_bucket where generation > 0',
      [],
      'bucket_generations',
    ),
  ])
  return {
    ids: ids.difference(new Set(known.map(({ id }) => id))),
    generations: new Map(turned.map(({ bucket, generation }) => [bucket, generation])),
  }
}

/**
 * Gives a replica {@link missingKeys}: unwrapped with the home's bucket key, wrapped with the replica region's. One that
 * home no longer has stays away.
 */
export async function addKeys(
  deps: ReplicationDeps,
  tx: Transaction,
  replica: Region,
  { companyId, home }: ReplicatedChain,
  { ids, generations }: MissingKeys,
): Promise<void> {
  if (ids.size === 0) return
  const keys = await readUnwrapped(deps, home, companyId, [...ids])
  if (keys.length === 0) return
  const rows = await Promise.all(
    keys.map(async ({ row, key }) => {
      const bucket = deps.vault.bucketOf(replica, row.id)
      const generation = generations.get(bucket) ?? 0
      const bucketKey = await deps.vault.bucketKey(replica, bucket, generation)
      return { row, bucket, generation, wrapped: wrapKey(bucketKey, replica, row, key) }
    }),
  )
  await tx.query(
    `insert into subject_key (id, company_id, subject_tag, blob, bucket, generation, wrapped, replica_of, created_at)
     select k.*, $8, now() from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[], $5::smallint[], $6::integer[], $7::bytea[]) as k
     on conflict do nothing`,
    [
      uuidArray(rows.map(({ row }) => row.id)),
      uuidArray(rows.map(({ row }) => row.company_id)),
      byteaArray(rows.map(() => randomBytes(TAG_BYTES))),
      textArray(rows.map(({ row }) => row.blob)),
      smallintArray(rows.map(({ bucket }) => bucket)),
      integerArray(rows.map(({ generation }) => generation)),
      byteaArray(rows.map(({ wrapped }) => wrapped)),
      home,
    ],
    'insert_keys',
  )
}

async function readUnwrapped(deps: ReplicationDeps, home: Region, companyId: string, ids: readonly string[]) {
  for (let met = 0; ; met++) {
    const rows = await atHome(deps, home, companyId, (tx) => readKeys(tx, ids))
    try {
      const unwrapped = await Promise.all(rows.map(async (row) => ({ row, key: await unwrap(deps, home, row) })))
      return unwrapped.flatMap(({ row, key }) => (key === null ? [] : [{ row, key }]))
    } catch (error) {
      // The bucket turned at home since the rows were read: they are wrapped anew, or gone.
      if (!(error instanceof BucketKeyReplacedError) || met === TURNS_MET_MAX) throw error
    }
  }
}

/** Null for a key that does not open: at home too nothing can be read with it. */
async function unwrap({ vault }: ReplicationDeps, home: Region, row: HomeKey) {
  try {
    return unwrapKey(await vault.bucketKey(home, row.bucket, row.generation), home, row)
  } catch (error) {
    if (error instanceof SealBrokenError) return null
    throw error
  }
}
