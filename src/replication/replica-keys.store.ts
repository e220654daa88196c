import type { Transaction } from '../db/database.js'
import { uuidArray } from '../events/binary-array.js'
import type { Region } from '../kernel/region.js'

/** A key that a replica's events are sealed with. */
export interface ReplicaKey {
  readonly id: string
  readonly bucket: number
}

/** The keys a region has of a company's chains in another, in the order of their ids, after one of them. */
export const listReplicaKeys = (
  tx: Transaction,
  companyId: string,
  home: Region,
  after: string,
  limit: number,
): Promise<ReplicaKey[]> =>
  tx.query<ReplicaKey>(
    `select id, bucket from subject_key where company_id = $1 and replica_of = $2 and id > $3 order by id limit $4`,
    [companyId, home, after, limit],
    'replica_keys',
  )

/** Which of these keys of replicas are still there. */
export async function findReplicaKeys(tx: Transaction, ids: readonly string[]): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(
    'select id from subject_key where id = any ($1::uuid[]) and replica_of is not null',
    [uuidArray(ids)],
    'replica_key_ids',
  )
  return rows.map(({ id }) => id)
}

/** Waits until nobody is just giving a replica of the region keys that home may have destroyed meanwhile. */
export const awaitKeyCopies = (tx: Transaction): Promise<unknown> =>
  tx.query('select pg_advisory_xact_lock(7265646163746564)')
