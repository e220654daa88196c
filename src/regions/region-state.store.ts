import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { RegionCheck, RegionState } from './region-state.js'

const TIMEOUT_MS = 5_000

/** A row of `region_state`, as the database or the notification of it has it. */
export interface RegionStateRow {
  readonly region: Region
  readonly state: RegionState['state']
  readonly since: Date | string
  readonly answers: boolean
  readonly latency_ms: number | null
  readonly reason: RegionState['reason']
  readonly checked_at: Date | string
}

export const regionStateOf = (row: RegionStateRow): RegionState => ({
  region: row.region,
  state: row.state,
  since: new Date(row.since),
  answers: row.answers,
  latencyMs: row.latency_ms,
  reason: row.reason,
  checkedAt: new Date(row.checked_at),
})

/** The state of each region that was ever checked, and how old the check is by the database's clock. */
export async function readRegionStates(
  control: Database,
): Promise<readonly { readonly state: RegionState; readonly ageMs: number }[]> {
  const rows = await control.query<RegionStateRow & { readonly age_ms: number }>(
    `select *, extract(epoch from clock_timestamp() - checked_at)::double precision * 1000 as age_ms from region_state`,
    [],
    { timeoutMs: TIMEOUT_MS, name: 'region_states' },
  )
  return rows.map((row) => ({ state: regionStateOf(row), ageMs: row.age_ms }))
}

/** Keeps checks made just now, by the database's clock, and what follows from them for the regions' states, which every process is told. */
export async function saveChecks(control: Database, checks: readonly RegionCheck[]): Promise<void> {
  const rows = JSON.stringify(
    checks.map((check) => ({
      region: check.region,
      answers: check.answers,
      writable: check.writable,
      latency_ms: check.latencyMs,
      reason: check.reason,
    })),
  )
  await control.query(
    `with checked as (
       insert into region_health_check (region, checked_at, answers, writable, latency_ms, reason)
       select region, now(), answers, writable, latency_ms, reason
       from jsonb_populate_recordset(null::region_health_check, $1)
       on conflict do nothing returning *)
     insert into region_state as s (region, state, since, answers, latency_ms, reason, checked_at)
     select region, case when answers and writable then 'HEALTHY' else 'UNHEALTHY' end, checked_at, answers, latency_ms, reason, checked_at
     from checked
     on conflict (region) do update set state = excluded.state, answers = excluded.answers,
       latency_ms = excluded.latency_ms, reason = excluded.reason, checked_at = excluded.checked_at,
       since = case when s.state = excluded.state then s.since else excluded.since end`,
    [rows],
    { timeoutMs: TIMEOUT_MS },
  )
}

/** Forgets checks that are older than so many hours. */
export async function deleteOldChecks(control: Database, hours: number): Promise<void> {
  await control.query(`delete from region_health_check where checked_at < now() - $1 * interval '1 hour'`, [hours], {
    timeoutMs: TIMEOUT_MS,
  })
}
