import type { Database } from '../db/database.js'

/** The company of an event that the global index knows, or null. Throws DatabaseError. */
export async function findIndexedCompany(
  control: Database,
  eventId: string,
  timeoutMs: number,
): Promise<string | null> {
  const rows = await control.query<{ company_id: string }>(
    'select company_id from event_index where event_id = $1',
    [eventId],
    { name: 'event_index_company', timeoutMs },
  )
  return rows[0]?.company_id ?? null
}
