import type { KeyObject } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { DomainError, notFound } from '../kernel/domain-error.js'
import { parseGlobalId } from '../kernel/ids.js'
import { withControlReachable } from './control-reachable.js'
import { checkLink } from './download-link.js'
import { exportFolder } from './export-file.js'
import { statusAt } from './export-job.js'
import { findExport } from './export-job.store.js'

const CONTROL_TIMEOUT_MS = 5_000

export interface DownloadDeps {
  readonly control: Database
  readonly clock: Clock
  readonly linkKey: KeyObject
  readonly exportsDir: string
}

/** A finished export, open for reading. Whoever takes it closes it. */
export interface Download {
  readonly handle: FileHandle
  readonly sizeBytes: number
  readonly sha256: Buffer
  readonly mediaType: string
  /** What the file should be called where it is kept. */
  readonly saveAs: string
}

/**
 * Opens the file of a signed link. Throws FORBIDDEN (forged, or over), NOT_FOUND (the export is gone, or its file is not
 * on this server), REGION_UNAVAILABLE (control).
 */
export async function openDownload(
  deps: DownloadDeps,
  link: { readonly id: string; readonly expires: unknown; readonly signature: unknown },
): Promise<Download> {
  const now = deps.clock.now()
  const check = checkLink(deps.linkKey, link, now)
  if (check === 'FORGED') throw new DomainError('FORBIDDEN', 'This is no link of ours.')
  if (check === 'EXPIRED')
    throw new DomainError('FORBIDDEN', 'The link is over: ask for the export again to get a new one.')
  const id = parseGlobalId(link.id)
  if (id?.kind !== 'export') throw notFound('Export')
  const job = await withControlReachable(() => findExport(deps.control, id.uuid, CONTROL_TIMEOUT_MS))
  if (job === null || statusAt(job, now) !== 'DONE' || job.fileName === null || job.sha256 === null)
    throw notFound('Export')
  const path = join(exportFolder(deps.exportsDir, job.region), job.fileName)
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw notFound('The file of this export')
    throw error
  })
  const format = job.format.toLowerCase()
  return {
    handle,
    sizeBytes: job.bytesWritten,
    sha256: job.sha256,
    mediaType: job.format === 'CSV' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson',
    saveAs: `${link.id}.${format}`,
  }
}
