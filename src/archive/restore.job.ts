import type { Job } from '../jobs/job.js'
import { pagesById } from '../kernel/pages-by-id.js'
import type { ArchiveDeps } from './archive-deps.js'
import { listRestores } from './archive-object.store.js'

const TIMEOUT_MS = 10 * 60_000
const OBJECTS_PER_READ = 200

/** Follows what was asked to be restored, until it can be read and until that is over. */
export const restoreJob = (deps: ArchiveDeps): Job => ({
  name: 'restore',
  description: 'Asks the bucket how far restores of cold archive objects are, and which copies are past their time.',
  schedule: '*/15 * * * *',
  timeoutMs: TIMEOUT_MS,
  perRegion: true,
  run: ({ region, signal, progress }) =>
    deps.registry.use(region, async ({ database }) => {
      let changed = 0
      const pages = pagesById(OBJECTS_PER_READ, (after, limit) => listRestores(database, region, after, limit))
      for await (const objects of pages)
        for (const object of objects) {
          signal.throwIfAborted()
          const now = await deps.reader.refresh(object)
          if (now !== null && now !== object.storageClass) progress(++changed)
        }
      return changed
    }),
})
