import { changeControl } from '../admin-log/change-control.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { orControlUnavailable } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import { DeadlineExceeded, within } from '../kernel/deadline.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { JobRun } from './job-run.js'
import { findRun } from './job-run.store.js'
import type { Job } from './job.js'
import type { JobReads } from './list-jobs.js'

/** How long the answer waits for the run. What takes longer is answered RUNNING and goes on. */
const ANSWER_MS_MAX = 5_000

export interface RunJobDeps extends JobReads {
  readonly registry: Pick<RegionRegistry, 'get'>
  readonly clock: Clock
}

/**
 * Runs a job now, for one region or all, and answers the run: how it ended, or RUNNING after five seconds. While the
 * same is running already, the answer is a run that was SKIPPED. That somebody started it is written in the admin log in
 * the transaction that begins it. Throws UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, NOT_FOUND (no such job),
 * BAD_USER_INPUT (a region for a job that has none), REGION_UNAVAILABLE.
 */
export async function runJob(
  deps: RunJobDeps,
  viewer: Viewer,
  input: { readonly name: string; readonly region: Region | null },
): Promise<JobRun> {
  const { user } = admitSession(viewer, 'runJob')
  const { job } = deps.scheduler.jobs.get(input.name) ?? {}
  if (job === undefined) throw notFound('Job')
  if (input.region !== null) {
    if (!job.perRegion) throw badInput('input.region', `${job.name} has no runs per region.`)
    deps.registry.get(input.region)
  }
  const runId = await begin(deps, job, input.region, user.id)
  const run = await orControlUnavailable(() => findRun(deps.control, runId))
  if (run === null) throw new DomainError('CONFLICT', 'The run was deleted meanwhile.')
  return run
}

async function begin(deps: RunJobDeps, job: Job, region: Region | null, userId: string): Promise<string> {
  const claim = await changeControl(deps, async ({ tx, log }) => {
    const begun = await deps.scheduler.claim(tx, job, region)
    const runId = 'claimed' in begun ? begun.claimed.runId : begun.skippedRunId
    log({
      companyId: null,
      actor: { kind: 'user', userId },
      action: 'job.started',
      category: 'job',
      target: { type: 'job_run', id: encodeId('jobRun', runId) },
      payload: { name: job.name, region, skipped: !('claimed' in begun) },
    })
    return begun
  })
  try {
    await within(ANSWER_MS_MAX, deps.scheduler.begin(job, region, claim))
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) throw error
  }
  return 'claimed' in claim ? claim.claimed.runId : claim.skippedRunId
}
