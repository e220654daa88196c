import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { deleteOldRuns } from './job-run.store.js'
import type { Job } from './job.js'

const TIMEOUT_MS = 5 * 60_000
const RUNS_KEPT_MS = 30 * 24 * 3_600_000
/** A tick's row only keeps others from taking it again; the newest of each job stays. */
const SLOTS_KEPT_MS = 2 * 24 * 3_600_000
const ROWS_PER_STATEMENT_MAX = 5_000

/** Forgets runs of jobs that are older than 30 days. */
export const expireJobRunsJob = (deps: { readonly control: Database; readonly clock: Clock }): Job => ({
  name: 'expire-job-runs',
  description: 'Deletes the history of job runs that are older than 30 days.',
  schedule: '40 3 * * *',
  perRegion: false,
  timeoutMs: TIMEOUT_MS,
  run: async ({ signal, progress }) => {
    const nowMs = deps.clock.now().getTime()
    let total = 0
    for (;;) {
      signal.throwIfAborted()
      const deleted = await deleteOldRuns(
        deps.control,
        new Date(nowMs - RUNS_KEPT_MS),
        new Date(nowMs - SLOTS_KEPT_MS),
        ROWS_PER_STATEMENT_MAX,
      )
      if (deleted === 0) return total
      progress((total += deleted))
    }
  },
})
