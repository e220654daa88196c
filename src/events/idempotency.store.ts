import type { Transaction } from '../db/database.js'

/** Drops up to `limit` keys that were first used before `before`, oldest first; answers how many. */
export async function deleteIdempotencyKeys(tx: Transaction, before: Date, limit: number): Promise<number> {
  const rows = await tx.query<{ deleted: number }>(
    `with gone as (
       delete from idempotency_key where (workspace_id, key_digest) in (
         select workspace_id, key_digest from idempotency_key where created_at < $1 order by created_at limit $2
       ) returning 1
     ) select count(*)::integer as deleted from gone`,
    [before, limit],
    'delete_idempotency_keys',
  )
  return rows[0]?.deleted ?? 0
}
