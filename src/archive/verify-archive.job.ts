import type { Job } from '../jobs/job.js'
import type { ArchiveDeps } from './archive-deps.js'
import { verifyRegion } from './verify-archive.js'

const TIMEOUT_MS = 20 * 3_600_000

/** Reads every archive object again and holds it against what was written. */
export const verifyArchiveJob = (deps: ArchiveDeps): Job => ({
  name: 'verify-archive',
  description:
    'Downloads, unpacks and verifies the archive objects of a region, those first that were not for longest.',
  schedule: '0 5 * * 6',
  timeoutMs: TIMEOUT_MS,
  perRegion: true,
  run: ({ region, signal, progress }) =>
    deps.registry.use(region, ({ database }) =>
      verifyRegion(deps, { region, database }, deps.clock.now(), signal, progress),
    ),
})
