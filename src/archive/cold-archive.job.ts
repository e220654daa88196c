import type { Job } from '../jobs/job.js'
import { pagesById } from '../kernel/pages-by-id.js'
import { ObjectNotFoundError } from '../objects/object-errors.js'
import type { ArchiveDeps, ArchivePlace } from './archive-deps.js'
import type { ArchiveObject } from './archive-object.js'
import { listToMoveCold } from './archive-object.store.js'

const TIMEOUT_MS = 6 * 3_600_000
const OBJECTS_PER_READ = 200

/** Moves the objects of days that are over a year old to the coldest class of the bucket. */
export const coldArchiveJob = (deps: ArchiveDeps): Job => ({
  name: 'cold-archive',
  description: 'Moves archive objects of days that are over a year old to cold storage.',
  schedule: '0 3 * * 0',
  timeoutMs: TIMEOUT_MS,
  perRegion: true,
  run: ({ region, signal, progress }) =>
    deps.registry.use(region, ({ database }) => moveToCold(deps, { region, database }, signal, progress)),
})

async function moveToCold(
  deps: ArchiveDeps,
  place: ArchivePlace,
  signal: AbortSignal,
  progress: (objects: number) => void,
): Promise<number> {
  const beforeDay = yearBefore(deps.clock.now())
  let moved = 0
  const pages = pagesById(OBJECTS_PER_READ, (after, limit) =>
    listToMoveCold(place.database, place.region, beforeDay, after, limit),
  )
  for await (const objects of pages)
    for (const object of objects) {
      signal.throwIfAborted()
      if (await moveObject(deps, object)) progress(++moved)
    }
  return moved
}

/**
 * Moves one object. It is noted as cold only once the bucket says so, by a HEAD of its own. False where there is none
 * (which verifying reports), or it stays warm.
 */
export async function moveObject(deps: ArchiveDeps, object: ArchiveObject): Promise<boolean> {
  const store = await deps.stores.of(object.region)
  try {
    await store.moveToCold(object.key)
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error
    return false
  }
  deps.onStep?.('object.moved_to_cold')
  const isCold = (await deps.reader.refresh(object)) === 'COLD'
  if (isCold) deps.figures.add('cold_moves', object.region)
  return isCold
}

/** The day a year before, `YYYY-MM-DD`. Days before it are over a year old. */
function yearBefore(now: Date): string {
  const day = new Date(now)
  day.setUTCFullYear(day.getUTCFullYear() - 1)
  return day.toISOString().slice(0, 10)
}
