import type { Database, Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { type RegionMode, regionModeOf, type RegionModeRow } from './region-mode.js'

/** How long a process may believe in HOME after it was told so; the same in every process. */
export interface HomeLeaseTimes {
  readonly leaseMs: number
  /** The same where the control database was away meanwhile, so that nobody could change anything. */
  readonly outageLeaseMs: number
}

const columns = 'region, mode, epoch, since, pending_key, failed_over_at, failed_over_reason, fence'

/** True of a lease whose process holds no belief any more; $1 and $2 are the times in milliseconds. */
const isOver = `clock_timestamp() > l.renewed_at + interval '1 millisecond' * case
  when greatest(pg_postmaster_start_time(), (select noted_at from control_outage)) > l.renewed_at
  then $2::double precision else $1::double precision end`

/**
 * Renews a process's lease and answers the modes as they are: who changes one waits for this transaction, or is waited
 * for. A region whose mode is just being changed is left out. `acknowledged`: by region the epoch that the process has
 * heard of and acts by. `foundAgain`: this database has been out of its reach. Forgets the leases of processes that died.
 */
export async function renewLease(
  control: Database,
  lease: {
    readonly processId: string
    readonly acknowledged: Readonly<Partial<Record<Region, number>>>
    readonly foundAgain: boolean
    readonly times: HomeLeaseTimes
    readonly timeoutMs: number
  },
): Promise<RegionMode[]> {
  const { processId, acknowledged, foundAgain, times, timeoutMs } = lease
  return control.transaction({ timeoutMs }, async (tx) => {
    const held = tx.query<{ region: Region }>(
      `select region from unnest(array['AU', 'US', 'EU', 'APAC']) with ordinality as r (region, n)
       where pg_try_advisory_xact_lock_shared(7265646, n::integer)`,
      [],
      'home_lease_hold',
    )
    const renewed = tx.query(
      `insert into home_lease as l (process_id, renewed_at, acknowledged) values ($1, clock_timestamp(), $2)
       on conflict (process_id) do update set renewed_at = excluded.renewed_at, acknowledged = excluded.acknowledged`,
      [processId, JSON.stringify(acknowledged)],
      'home_lease_renew',
    )
    const noted = foundAgain
      ? tx.query('update control_outage set noted_at = clock_timestamp()', [], 'control_outage_note')
      : Promise.resolve([])
    const forgotten = tx.query(
      `delete from home_lease l where ${isOver} and l.process_id <> $3`,
      [times.leaseMs, times.outageLeaseMs, processId],
      'home_lease_forget',
    )
    const modes = tx.query<RegionModeRow>(`select ${columns} from region_mode`, [], 'region_modes')
    const [own, rows] = await Promise.all([held, modes, renewed, noted, forgotten])
    const regions = new Set(own.map(({ region }) => region))
    return rows.filter(({ region }) => regions.has(region)).map(regionModeOf)
  })
}

/** Gives a lease back: the process writes nowhere any more. */
export async function endLease(control: Database, processId: string, timeoutMs: number): Promise<void> {
  await control.query('delete from home_lease where process_id = $1', [processId], { timeoutMs })
}

/** Forgets every lease, where it is known that no other process of the service runs. */
export async function forgetLeases(control: Database, timeoutMs: number): Promise<void> {
  await control.query('delete from home_lease', [], { timeoutMs })
}

/**
 * Begins to send a region's writes to the queue; nothing changes where they go there already. From its commit on no
 * process is told HOME any more. Answers the mode.
 */
export async function closeHome(tx: Transaction, region: Region, pendingKey: string): Promise<RegionMode> {
  await tx.query('select change_region_mode($1)', [region], 'region_mode_change')
  await tx.query(
    `with closed as (
       update region_mode set mode = 'CLOSING', epoch = epoch + 1, since = now(), pending_key = $2
       where region = $1 and mode = 'HOME' returning region, pending_key
     ) insert into pending_key (region, id) select region, pending_key from closed`,
    [region, pendingKey],
    'region_mode_close',
  )
  return readMode(tx, region)
}

/** QUEUEING from now on, where nobody believes in HOME any more; answers the mode, whatever it is. */
export async function finishClosing(control: Database, region: Region, times: HomeLeaseTimes, timeoutMs: number) {
  return control.transaction({ timeoutMs }, async (tx) => {
    await tx.query(
      `update region_mode m set mode = 'QUEUEING', epoch = epoch + 1, since = now()
       where m.region = $3 and m.mode = 'CLOSING' and not exists (
         select from home_lease l where coalesce((l.acknowledged ->> m.region)::bigint, -1) < m.epoch and not ${isOver})`,
      [times.leaseMs, times.outageLeaseMs, region],
      'region_mode_finish_closing',
    )
    return readMode(tx, region)
  })
}

/** HOME again, where nothing is queued and the region is not failed over. The caller holds the mode exclusively. */
export async function openHome(tx: Transaction, region: Region, evenIfQueued: boolean): Promise<RegionMode> {
  await tx.query(
    `update region_mode set mode = 'HOME', epoch = epoch + 1, since = now(), pending_key = null
     where region = $1 and mode = 'QUEUEING' and failed_over_at is null
       and ($2 or not exists (select from pending_write where region = $1))`,
    [region, evenIfQueued],
    'region_mode_open',
  )
  return readMode(tx, region)
}

/**
 * HOME again of a region that takes writes and whose closing can't be finished soon: a process that has not been heard of
 * for `leaseMs` may believe in HOME for the ten minutes of an outage of control. Nothing can have been queued meanwhile.
 */
export async function reopenHome(control: Database, region: Region, leaseMs: number, timeoutMs: number) {
  return control.transaction({ timeoutMs }, async (tx) => {
    await lockMode(tx, region)
    await tx.query(
      `update region_mode m set mode = 'HOME', epoch = epoch + 1, since = now(), pending_key = null
       where m.region = $1 and m.mode = 'CLOSING' and m.failed_over_at is null and exists (
         select from home_lease l where coalesce((l.acknowledged ->> m.region)::bigint, -1) < m.epoch
           and clock_timestamp() > l.renewed_at + interval '1 millisecond' * $2::double precision)`,
      [region, leaseMs],
      'region_mode_reopen',
    )
    return readMode(tx, region)
  })
}

/** Keeps everybody from reading or changing a region's mode until the transaction ends. */
export async function lockMode(tx: Transaction, region: Region): Promise<void> {
  await tx.query('select change_region_mode($1)', [region], 'region_mode_change')
}

/** The mode of a region, which stays as it is until the transaction ends. */
export async function holdMode(tx: Transaction, region: Region): Promise<RegionMode> {
  // Two statements: the second sees what was committed before the lock was had.
  const held = tx.query('select hold_region_mode($1)', [region], 'region_mode_hold')
  const [mode] = await Promise.all([readMode(tx, region), held])
  return mode
}

/** Marks a region as failed over, or not any more; the caller has closed it before. */
export async function setFailedOver(
  tx: Transaction,
  region: Region,
  failover: { readonly at: Date; readonly reason: string } | null,
): Promise<RegionMode> {
  await tx.query(
    `update region_mode set failed_over_at = $2, failed_over_reason = $3, epoch = epoch + 1
     where region = $1 and mode <> 'HOME'`,
    [region, failover?.at ?? null, failover?.reason ?? null],
    'region_mode_failover',
  )
  return readMode(tx, region)
}

/**
 * Has nothing queued any more for a region that was accepted before: who accepted it with the fence that was, accepts it
 * anew. Waits for what is being queued.
 */
export async function raiseQueueFence(control: Database, region: Region, timeoutMs: number): Promise<void> {
  await control.transaction({ timeoutMs }, async (tx) => {
    await lockMode(tx, region)
    await tx.query('update region_mode set fence = fence + 1 where region = $1', [region], 'region_mode_fence')
  })
}

export async function readMode(tx: Pick<Transaction, 'query'>, region: Region): Promise<RegionMode> {
  const [row] = await tx.query<RegionModeRow>(
    `select ${columns} from region_mode where region = $1`,
    [region],
    'region_mode_read',
  )
  return regionModeOf(row!)
}
