import type { Database } from '../db/database.js'
import { retentionCutoff } from '../events/retention.js'
import type { Job } from '../jobs/job.js'
import type { Clock } from '../kernel/clock.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { listKeptWorkspaces, markRuns } from './archive-run.store.js'

const TIMEOUT_MS = 50 * 60_000
const WORKSPACE_TIMEOUT_MS = 10 * 60_000

export interface RetentionDeps {
  readonly control: Database
  readonly registry: Pick<RegionRegistry, 'use'>
  readonly clock: Clock
}

/** Marks what is past its retention, anew each night: a retention that was changed since counts. */
export const retentionJob = (deps: RetentionDeps): Job => ({
  name: 'retention',
  description: 'Marks the events of a region that are past their retention, for archiving.',
  schedule: '0 3 * * *',
  timeoutMs: TIMEOUT_MS,
  perRegion: true,
  async run({ region, signal, progress }) {
    let marked = 0
    await deps.registry.use(region, async ({ database }) => {
      for (const workspace of await listKeptWorkspaces(deps.control, region)) {
        const now = deps.clock.now()
        const options = { companies: [workspace.companyId], timeoutMs: WORKSPACE_TIMEOUT_MS, signal }
        marked += await database.transaction(options, (tx) =>
          markRuns(tx, workspace, retentionCutoff(workspace.retentionDays, now), now),
        )
        progress(marked)
      }
    })
    return marked
  },
})
