import type { Transaction } from '../db/database.js'
import { newUuid } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { deleteLease, insertLease, lockLease, passLease } from './job-lease.store.js'
import { type ClaimedRun, HOLDER_LOST, STILL_RUNNING, STOPPED } from './job-run.js'
import { closeLostRun, hasLaterSlot, insertRun, takeSlot } from './job-run.store.js'

/** How often the work of one tick is begun, where it is always the process that dies. */
const ATTEMPTS_MAX = 2

/** What became of an attempt to begin a run: its row is there either way. */
export type Claim = { readonly claimed: ClaimedRun } | { readonly skippedRunId: string }

/**
 * Takes the lease of a job and notes the run that begins, inside the caller's transaction. While another run of the same
 * is going on, the new one is noted as skipped. The lease of a process that died is taken over and its run closed.
 */
export async function claimRun(
  tx: Transaction,
  wanted: { readonly job: string; readonly region: Region | null; readonly slot: Date | null },
  leaseMs: number,
): Promise<Claim> {
  const { job, region } = wanted
  const runId = newUuid()
  const run = { id: runId, attempt: 1, ...wanted }
  const claimed = { runId, ...wanted, resumeFrom: null, leasedAtMs: performance.now() }
  const lease = await lockLease(tx, job, region)
  if (lease !== null && lease.isOver) {
    await closeLostRun(tx, lease.runId, HOLDER_LOST)
    await insertRun(tx, { ...run, outcome: 'RUNNING', error: null })
    await passLease(tx, job, region, runId, leaseMs)
    return { claimed }
  }
  if (lease === null) {
    await insertRun(tx, { ...run, outcome: 'RUNNING', error: null })
    if (await insertLease(tx, job, region, runId, leaseMs)) return { claimed }
    await tx.query('delete from job_run where id = $1', [runId])
  }
  await insertRun(tx, { ...run, outcome: 'SKIPPED', error: STILL_RUNNING })
  return { skippedRunId: runId }
}

/**
 * {@link claimRun} for a tick of the schedule; null where another process has the tick. With `unlessNew`, a job that
 * never had a tick only has it noted.
 */
export async function claimTick(
  tx: Transaction,
  tick: { readonly job: string; readonly region: Region | null; readonly slot: Date; readonly unlessNew: boolean },
  leaseMs: number,
): Promise<Claim | null> {
  const { job, region, slot } = tick
  if (!(await takeSlot(tx, job, region, slot, tick.unlessNew))) return null
  return claimRun(tx, { job, region, slot }, leaseMs)
}

/**
 * Looks after a lease that is over: closes the run of its dead holder, and claims the rest of the work where it belongs
 * to the newest tick and was not begun too often. What an orderly stop left behind doesn't count as an attempt.
 */
export async function takeOver(
  tx: Transaction,
  job: string,
  region: Region | null,
  leaseMs: number,
): Promise<ClaimedRun | null> {
  const lease = await lockLease(tx, job, region)
  if (lease === null || !lease.isOver) return null
  const { slot, place } = lease
  await closeLostRun(tx, lease.runId, HOLDER_LOST)
  const attempt = lease.error === STOPPED ? lease.attempt : lease.attempt + 1
  if (slot === null || attempt > ATTEMPTS_MAX || (await hasLaterSlot(tx, job, region, slot))) {
    await deleteLease(tx, lease.runId)
    return null
  }
  const runId = newUuid()
  const leasedAtMs = performance.now()
  await insertRun(tx, { id: runId, job, region, slot, attempt, outcome: 'RUNNING', error: null })
  await passLease(tx, job, region, runId, leaseMs)
  return { runId, job, region, slot, resumeFrom: place, leasedAtMs }
}
