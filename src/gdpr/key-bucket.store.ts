import type { Database, Transaction } from '../db/database.js'
import type { StoredKey } from '../sealing/subject-keys.js'

/** A key of a bucket as it is stored, whichever company it belongs to. */
export interface BucketedKey extends StoredKey {
  readonly wrapped: Buffer
  readonly generation: number
}

/** Begins the turn of a bucket: until the transaction ends nobody commits what is sealed by a key of the region. */
export const beginBucketTurn = (tx: Transaction, bucket: number): Promise<BucketedKey[]> =>
  tx.query<BucketedKey>('select * from begin_bucket_turn($1::smallint)', [bucket])

/** The generation of a bucket's key. */
export async function readGeneration(tx: Transaction, bucket: number): Promise<number> {
  const [row] = await tx.query<{ generation: number }>('select generation from key_bucket where bucket = $1', [bucket])
  return row!.generation
}

/** Ends the turn; answers how many keys were destroyed. Throws DatabaseError `serialization` where a key was left out. */
export async function endBucketTurn(
  tx: Transaction,
  turn: {
    readonly bucket: number
    readonly generation: number
    readonly doomed: readonly string[]
    readonly kept: readonly string[]
    readonly wrappings: readonly Buffer[]
  },
): Promise<number> {
  const [row] = await tx.query<{ destroyed: string }>(
    'select end_bucket_turn($1::smallint, $2::integer, $3::uuid[], $4::uuid[], $5::bytea[]) as destroyed',
    [turn.bucket, turn.generation, turn.doomed, turn.kept, turn.wrappings],
  )
  return Number(row!.destroyed)
}

/** The buckets that have turned, and how often. */
export const listTurnedBuckets = (database: Database): Promise<{ bucket: number; generation: number }[]> =>
  database.query<{ bucket: number; generation: number }>(
    'select bucket, generation from key_bucket where generation > 0',
  )
