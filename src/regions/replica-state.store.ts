import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'

const TIMEOUT_MS = 5_000
/** A reader waits no longer for what only accompanies its answer. */
const LAG_TIMEOUT_MS = 1_000

/** A chain that is to be copied to a region. */
export interface PlannedReplica {
  readonly workspaceId: string
  readonly companyId: string
  readonly home: Region
}

/** The chains that are to be copied to a region: those of companies that asked for it, and live somewhere else. */
export async function listPlannedReplicas(control: Database, replica: Region): Promise<PlannedReplica[]> {
  const rows = await control.query<{ id: string; company_id: string; data_region: Region }>(
    `select w.id, w.company_id, w.data_region from company c join workspace w on w.company_id = c.id
     where $1 = any (c.replicate_to) and w.data_region <> $1 order by w.id`,
    [replica],
    { timeoutMs: TIMEOUT_MS, name: 'planned_replicas' },
  )
  return rows.map((row) => ({ workspaceId: row.id, companyId: row.company_id, home: row.data_region }))
}

/** How far a replica is. */
export interface ReplicaState extends PlannedReplica {
  readonly sequence: number
  /** It has everything that its home had a moment ago. */
  readonly isCurrent: boolean
  readonly stoppedReason: string | null
}

/** Keeps how far replicas in a region are. */
export async function saveReplicaStates(
  control: Database,
  replica: Region,
  states: readonly ReplicaState[],
): Promise<void> {
  await control.query(
    `insert into replica_chain as r (workspace_id, replica_region, company_id, home_region, sequence, current_at, stopped_reason, updated_at)
     select s.workspace_id, $1, s.company_id, s.home_region, s.sequence, case when s.is_current then now() end, s.stopped_reason, now()
     from unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::boolean[], $7::text[])
       as s (workspace_id, company_id, home_region, sequence, is_current, stopped_reason)
     order by s.workspace_id
     on conflict (workspace_id, replica_region) do update set sequence = excluded.sequence, home_region = excluded.home_region,
       current_at = coalesce(excluded.current_at, r.current_at), stopped_reason = excluded.stopped_reason, updated_at = excluded.updated_at`,
    [
      replica,
      states.map((one) => one.workspaceId),
      states.map((one) => one.companyId),
      states.map((one) => one.home),
      states.map((one) => one.sequence),
      states.map((one) => one.isCurrent),
      states.map((one) => one.stoppedReason),
    ],
    { timeoutMs: TIMEOUT_MS, name: 'save_replica_states' },
  )
}

/** There is no such replica any more. */
export async function forgetReplicas(
  control: Database,
  replica: Region,
  workspaceIds: readonly string[],
): Promise<void> {
  await control.query(
    'delete from replica_chain where replica_region = $1 and workspace_id = any ($2::uuid[])',
    [replica, workspaceIds],
    { timeoutMs: TIMEOUT_MS },
  )
}

/**
 * The regions that a company's chains in others are copied to now, whatever is remembered, and those that have, or last
 * had, anything of them.
 */
export async function listReplicaRegions(
  control: Database,
  companyId: string,
): Promise<{ readonly wanted: readonly Region[]; readonly known: readonly Region[] }> {
  const [row] = await control.query<{ wanted: Region[]; known: Region[] }>(
    `select c.replicate_to as wanted,
       array(select distinct r.replica_region from replica_chain r where r.company_id = c.id) as known
     from company c where c.id = $1`,
    [companyId],
    { timeoutMs: TIMEOUT_MS },
  )
  return row ?? { wanted: [], known: [] }
}

/** How far replicas are behind, as far as control knows: by the newest signed checkpoint of each chain. */
export interface ReplicaLag {
  readonly replica: Region
  readonly home: Region
  readonly events: number
  /** How long ago they last had all events; 0 where they have them now, null where they never had. */
  readonly seconds: number | null
  /** Chains whose copying was stopped because the replica contradicts its home. */
  readonly stopped: number
}

/** The lags of a company's replicas, by region and home. Throws DatabaseError. */
export async function readReplicaLags(control: Database, companyId: string): Promise<ReplicaLag[]> {
  const rows = await control.query<{
    replica_region: Region
    home_region: Region
    events: string
    is_filled: boolean
    seconds: number | null
    stopped: number
  }>(
    `select l.replica_region, l.home_region, sum(l.events) as events, bool_and(l.current_at is not null) as is_filled,
       coalesce(max(extract(epoch from clock_timestamp() - l.current_at)) filter (where l.events > 0), 0)::double precision as seconds,
       count(l.stopped_reason)::integer as stopped
     from (
       select p.replica_region, w.data_region as home_region, r.current_at, r.stopped_reason,
         greatest(0, coalesce(c.tree_size, 0) - coalesce(r.sequence, 0)) as events
       from company o cross join lateral unnest(o.replicate_to) as p (replica_region)
       join workspace w on w.company_id = o.id and w.data_region <> p.replica_region
       left join replica_chain r on r.workspace_id = w.id and r.replica_region = p.replica_region
       left join checkpoint_copy c on c.workspace_id = w.id
       where o.id = $1) l
     group by l.replica_region, l.home_region`,
    [companyId],
    { timeoutMs: LAG_TIMEOUT_MS, name: 'replica_lags' },
  )
  return rows.map((row) => {
    const events = Number(row.events)
    const seconds = events === 0 ? 0 : row.is_filled ? Math.max(0, row.seconds ?? 0) : null
    return { replica: row.replica_region, home: row.home_region, events, seconds, stopped: row.stopped }
  })
}

/**
 * How many events each region's replicas, of other regions' chains, are behind; 0 of a region without any. For
 * `regionHealth.replicationBacklog`. Throws DatabaseError.
 */
export async function replicationBacklog(control: Database): Promise<ReadonlyMap<Region, number>> {
  const rows = await control.query<{ replica_region: Region; events: string }>(
    `select p.replica_region, sum(greatest(0, coalesce(c.tree_size, 0) - coalesce(r.sequence, 0))) as events
     from company o cross join lateral unnest(o.replicate_to) as p (replica_region)
     join workspace w on w.company_id = o.id and w.data_region <> p.replica_region
     left join replica_chain r on r.workspace_id = w.id and r.replica_region = p.replica_region
     left join checkpoint_copy c on c.workspace_id = w.id
     group by p.replica_region`,
    [],
    { timeoutMs: LAG_TIMEOUT_MS, name: 'replication_backlog' },
  )
  return new Map(rows.map((row) => [row.replica_region, Number(row.events)]))
}

/** Notes the newest erasure of chains, never back: replicas that are behind it serve nothing. */
export async function raiseErasureFloors(
  control: Database,
  companyId: string,
  floors: readonly { readonly workspaceId: string; readonly sequence: number }[],
): Promise<void> {
  if (floors.length === 0) return
  await control.query(
    `insert into erasure_floor as f (workspace_id, company_id, sequence)
     select n.workspace_id, $1, n.sequence from unnest($2::uuid[], $3::bigint[]) as n (workspace_id, sequence) order by 1
     on conflict (workspace_id) do update set sequence = excluded.sequence where f.sequence < excluded.sequence`,
    [companyId, floors.map(({ workspaceId }) => workspaceId), floors.map(({ sequence }) => sequence)],
    { timeoutMs: TIMEOUT_MS },
  )
}
