import { readdir } from 'node:fs/promises'
import type { Database } from '../db/database.js'
import type { Job } from '../jobs/job.js'
import type { Clock } from '../kernel/clock.js'
import { regions } from '../kernel/region.js'
import { deleteExportFile, exportFolder, exportIdOf } from './export-file.js'
import { expireExports, neededFiles } from './export-job.store.js'

const TIMEOUT_MS = 5 * 60_000
/** How long it can be seen that there was an export. */
const REMEMBERED_MS = 30 * 24 * 3_600_000

export interface ExpireDeps {
  readonly control: Database
  readonly clock: Clock
  readonly exportsDir: string
}

/** {@link sweepExports} as a job. It cleans the disk of the process that runs it; each process cleans its own besides. */
export const expireExportsJob = (deps: ExpireDeps): Job => ({
  name: 'expire-exports',
  description: 'Deletes the files of exports that are over.',
  schedule: '*/5 * * * *',
  perRegion: false,
  timeoutMs: TIMEOUT_MS,
  run: ({ signal }) => sweepExports(deps, signal),
})

/**
 * Marks exports that are over and deletes from this machine's disk their files, and what interrupted attempts left.
 * Answers how many files.
 */
export async function sweepExports(deps: ExpireDeps, signal: AbortSignal): Promise<number> {
  const now = deps.clock.now()
  await expireExports(deps.control, now, new Date(now.getTime() - REMEMBERED_MS))
  let deleted = 0
  for (const region of regions) {
    signal.throwIfAborted()
    deleted += await sweepFolder(deps.control, exportFolder(deps.exportsDir, region))
  }
  return deleted
}

async function sweepFolder(control: Database, folder: string): Promise<number> {
  const files = (await readdir(folder).catch(ignoreMissing)).flatMap((name) => {
    const id = exportIdOf(name)
    return id === null ? [] : [{ name, id }]
  })
  if (files.length === 0) return 0
  let deleted = 0
  const needed = await neededFiles(
    control,
    files.map(({ id }) => id),
  )
  for (const { name, id } of files) {
    const fileName = needed.get(id)
    // A running attempt notes its file's name right after it has made it: null is about to be filled.
    const isNeeded = needed.has(id) && (fileName === null || attemptOf(name) >= attemptOf(fileName!))
    if (isNeeded) continue
    await deleteExportFile(folder, name)
    deleted++
  }
  return deleted
}

/** Attempts are counted up: only files of earlier ones than the noted one are left over. */
const attemptOf = (fileName: string): number => Number(fileName.split('.')[1])

function ignoreMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return []
  throw error
}
