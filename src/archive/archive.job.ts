import type { Job } from '../jobs/job.js'
import type { ArchiveDeps } from './archive-deps.js'
import { archiveRegion } from './archive-events.js'

const TIMEOUT_MS = 6 * 3_600_000

/** Moves what is marked into archive objects. */
export const archiveJob = (deps: ArchiveDeps): Job => ({
  name: 'archive',
  description:
    "Moves the events of a region that are past their retention into archive objects of the region's bucket.",
  schedule: '0 4 * * *',
  timeoutMs: TIMEOUT_MS,
  perRegion: true,
  run: ({ region, signal, progress }) =>
    deps.registry.use(region, ({ database }) => archiveRegion(deps, { region, database }, signal, progress)),
})
