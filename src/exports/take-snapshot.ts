import { setTimeout as wait } from 'node:timers/promises'
import { findCheckpoint, findTreeSize } from '../checkpoints/checkpoint.store.js'
import type { Checkpointer } from '../checkpoints/checkpointer.js'
import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import type { Transaction } from '../db/database.js'
import { retentionCutoff } from '../events/retention.js'
import type { Clock } from '../kernel/clock.js'
import { findReceived } from './export-event.store.js'
import type { ExportJob, ExportSnapshot } from './export-job.js'

/** How long an attempt waits for a checkpoint that covers what was recorded before it. */
const SIGNED_WITHIN_MS = 2_000
const POLL_MS = 50

/** The chain's newest events are not signed yet: passes, unless nobody signs the chain any more. */
export class NotSignedYet extends Error {
  override readonly name = 'NotSignedYet'
}

export interface SnapshotDeps {
  readonly checkpointer: Pick<Checkpointer, 'nudge'>
  readonly clock: Clock
}

/** Runs work in a read-only transaction of the export's region that sees its company. */
export type InRegion = <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>

/**
 * Fixes what an export holds: the chain as of a checkpoint that covers everything recorded before now, and of it the
 * stretch asked for, widened so that it has no holes. Events past their retention are exported where archived ones are
 * asked for. Throws {@link NotSignedYet}.
 */
export async function takeSnapshot(
  deps: SnapshotDeps,
  inRegion: InRegion,
  job: ExportJob,
  retentionDays: number,
  signal: AbortSignal,
): Promise<ExportSnapshot> {
  const { workspaceId, scope } = job
  const head = await inRegion((tx) => findTreeSize(tx, workspaceId))
  if (head === 0) return { treeSize: 0, note: null, firstSequence: null, lastSequence: null }
  const { treeSize, note } = await checkpointOf(deps, inRegion, job, head, signal)
  const cutoff = retentionCutoff(retentionDays, deps.clock.now())
  const from = scope === 'HOT' && (job.from === null || job.from < cutoff) ? cutoff : job.from
  const range = { from, to: job.to, size: treeSize, scope }
  const firstSequence = await findReceived(inRegion, workspaceId, { ...range, which: 'first' })
  const lastSequence =
    firstSequence === null ? null : await findReceived(inRegion, workspaceId, { ...range, which: 'last' })
  return { treeSize, note, firstSequence, lastSequence }
}

async function checkpointOf(
  { checkpointer }: SnapshotDeps,
  inRegion: InRegion,
  { region, workspaceId, companyId }: ExportJob,
  head: number,
  signal: AbortSignal,
): Promise<SignedCheckpoint> {
  const deadline = performance.now() + SIGNED_WITHIN_MS
  for (let nudged = false; ;) {
    const checkpoint = await inRegion((tx) => findCheckpoint(tx, workspaceId))
    if (checkpoint !== null && checkpoint.treeSize >= head) return checkpoint
    if (!nudged) checkpointer.nudge(region, [{ workspaceId, companyId }])
    nudged = true
    if (performance.now() > deadline) throw new NotSignedYet('no checkpoint covers the newest events')
    await wait(POLL_MS, undefined, { signal })
  }
}
