import type { ArchiveDeps } from '../archive/archive-deps.js'
import type { Log } from '../db/log.js'
import type { Region } from '../kernel/region.js'
import type { KeyVault } from '../sealing/key-vault.js'
import type { EraseWorkspaceDeps } from './erase-workspace.js'
import type { GdprDeps } from './gdpr-deps.js'

/** What carrying out requests takes. */
export interface ErasureDeps extends GdprDeps {
  readonly vault: KeyVault
  readonly archive: ArchiveDeps
  readonly onCommitted: EraseWorkspaceDeps['onCommitted']
  /** Where this process keeps exports. */
  readonly exportsDir: string
  /** URL of the role that owns a database's tables; null where it is not known here. */
  readonly ownerUrl: (database: Region | 'CONTROL') => Promise<string | null>
  readonly log: Log
  /** Told between the steps. What it throws once the run was aborted ends it there and then, as a crash would. */
  readonly onStep?: (step: string) => void
}
