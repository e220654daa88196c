import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'

const TIMEOUT_MS = 5_000

/** Regions whose last checks, at least so many, all failed, and which are not failed over. */
export async function findRegionsToFailOver(control: Database, checks: number): Promise<Region[]> {
  const rows = await control.query<{ region: Region }>(
    `select m.region from region_mode m cross join lateral (
       select count(*) as checks, bool_or(c.answers and c.writable) as any_good from (
         select answers, writable from region_health_check h where h.region = m.region order by checked_at desc limit $1
       ) as c
     ) as last
     where m.failed_over_at is null and last.checks = $1 and not last.any_good`,
    [checks],
    { timeoutMs: TIMEOUT_MS, name: 'regions_to_fail_over' },
  )
  return rows.map(({ region }) => region)
}
