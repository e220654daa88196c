import type { Log } from '../db/log.js'
import type { ArchiveFault, ArchiveObject } from './archive-object.js'

/** Raises the alarm of an archive object that is not what was written: an error in the log, and a count. */
export class ArchiveAlarms {
  readonly #log: Log
  readonly #counts = new Map<ArchiveFault, number>()

  constructor(log: Log) {
    this.#log = log
  }

  /** How many of each fault were found since the process began. */
  get counts(): ReadonlyMap<ArchiveFault, number> {
    return this.#counts
  }

  raise({ id, region, workspaceId, key }: ArchiveObject, fault: ArchiveFault): void {
    this.#counts.set(fault, (this.#counts.get(fault) ?? 0) + 1)
    this.#log.error(
      { archiveObjectId: id, region, workspaceId, key, fault },
      'an archive object is not what was written: find the bytes in a copy of the bucket, or earlier versions of them',
    )
  }
}
