import { admit } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { badInput } from '../kernel/domain-error.js'
import type { JobRun } from './job-run.js'
import { findRun, listRuns } from './job-run.store.js'
import type { ScheduledJob, Scheduler } from './scheduler.js'

export const JOB_RUNS_DEFAULT = 10
const JOB_RUNS_MAX = 100

export interface JobReads {
  readonly scheduler: Scheduler
  readonly control: Database
}

/** Every job, by name. Staff only: throws UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED. */
export function listJobs(deps: JobReads, viewer: Viewer): ScheduledJob[] {
  admit(viewer, 'jobs')
  return [...deps.scheduler.jobs.values()].toSorted((a, b) => (a.job.name < b.job.name ? -1 : 1))
}

/**
 * The newest runs of some jobs, newest first, by the job's name. BAD_USER_INPUT where `first` is not 1 to 100,
 * REGION_UNAVAILABLE (CONTROL).
 */
export async function listJobRuns(
  deps: JobReads,
  names: readonly string[],
  first: number,
): Promise<Map<string, JobRun[]>> {
  if (first < 1 || first > JOB_RUNS_MAX) throw badInput('first', `must be from 1 to ${JOB_RUNS_MAX}.`)
  const runs = await orControlUnavailable(() => listRuns(deps.control, names, first))
  return Map.groupBy(runs, (run) => run.job)
}

/** One run, by its UUID; null where there is none or the caller is not of the staff. REGION_UNAVAILABLE (CONTROL). */
export async function getJobRun(deps: Pick<JobReads, 'control'>, viewer: Viewer, id: string): Promise<JobRun | null> {
  if (viewer.kind !== 'staff') return null
  admit(viewer, 'jobs')
  return orControlUnavailable(() => findRun(deps.control, id))
}
