import { Client } from 'pg'
import { DatabaseError, toDatabaseError } from './database-error.js'

/** A table up to this size is written anew, which leaves nothing of what was deleted; that locks it for a moment. */
const REWRITTEN_BYTES_MAX = 64 * 1_048_576
const CONNECT_TIMEOUT_MS = 5_000
const LOCK_TIMEOUT_MS = 2_000
const STATEMENT_TIMEOUT_MS = 10 * 60_000

/**
 * Has a database give up what deleted rows leave in the files of some tables, which only their owner may. Small tables
 * are written anew; large ones, and those that are in use, are vacuumed. Then old log segments are let go where the
 * owner's role may do that. Answers how many tables were not written anew. Throws DatabaseError.
 */
export async function reclaimSpace(name: string, ownerUrl: string, tables: readonly string[]): Promise<number> {
  const client = new Client({
    connectionString: ownerUrl,
    application_name: 'hyrelog erasure',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
    let kept = 0
    for (const table of tables) if (!(await reclaimTable(client, name, table))) kept++
    for (const sql of ['checkpoint', 'select pg_switch_wal()']) await ifPermitted(client, name, sql)
    return kept
  } catch (error) {
    throw toDatabaseError(error, name)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Whether the table was written anew. */
async function reclaimTable(client: Client, name: string, table: string): Promise<boolean> {
  const { rows } = await client.query<{ bytes: string }>('select pg_total_relation_size($1::regclass) as bytes', [
    table,
  ])
  try {
    if (Number(rows[0]!.bytes) <= REWRITTEN_BYTES_MAX) {
      await client.query(`vacuum (full) ${table}`)
      return true
    }
  } catch (error) {
    // Somebody uses it just now: the gentle way then, which waits for nobody.
    const failure = toDatabaseError(error, name)
    if (failure.kind !== 'timeout' && failure.kind !== 'serialization') throw failure
  }
  await client.query(`vacuum ${table}`)
  return false
}

async function ifPermitted(client: Client, name: string, sql: string): Promise<void> {
  try {
    await client.query(sql)
  } catch (error) {
    const failure = toDatabaseError(error, name)
    if (!(failure instanceof DatabaseError) || failure.kind !== 'denied') throw failure
  }
}
