import type { ArchiveDeps } from '../archive/archive-deps.js'
import type { Log } from '../db/log.js'
import type { Region } from '../kernel/region.js'
import type { KeyVault } from '../sealing/key-vault.js'
import type { EraseWorkspaceDeps } from './erase-workspace.js'
import type { GdprDeps } from './gdpr-deps.js'

/** What was erased from a replica. */
export interface ReplicaEvidence {
  readonly region: Region
  readonly store: 'replica events' | 'replica subject keys' | 'earlier versions of other replicated events in the log'
  readonly records: number
}

/** Follows erasures into the replicas of a company's chains. */
export interface ReplicaErasure {
  /** The region's values of a chain are gone as of this event of it: replicas that are behind it serve nothing. */
  erased(chain: { readonly companyId: string; readonly workspaceId: string }, sequence: number): Promise<void>
  /**
   * Sees to it that every replica of these chains (by home region) has applied what a request erased at home, keys
   * included. Throws what counts as an outage where one can't be reached, or is not to be trusted.
   */
  apply(
    request: { readonly id: string; readonly companyId: string },
    workspaces: ReadonlyMap<Region, readonly string[]>,
    signal: AbortSignal,
  ): Promise<readonly ReplicaEvidence[]>
  /** The regions that keep replicas of a company's chains. */
  regionsOf(companyId: string): Promise<readonly Region[]>
}

/** What carrying out requests takes. */
export interface ErasureDeps extends GdprDeps {
  readonly vault: KeyVault
  /** Deletes what this process and Redis remember of a company's pages in a region; answers how many pages it was. */
  readonly dropPages: (region: Region, companyId: string) => Promise<number>
  readonly archive: ArchiveDeps
  readonly onCommitted: EraseWorkspaceDeps['onCommitted']
  readonly replicas: ReplicaErasure
  /** Where this process keeps exports. */
  readonly exportsDir: string
  /** URL of the role that owns a database's tables; null where it is not known here. */
  readonly ownerUrl: (database: Region | 'CONTROL') => Promise<string | null>
  readonly log: Log
  /** Told between the steps. What it throws once the run was aborted ends it there and then, as a crash would. */
  readonly onStep?: (step: string) => void
}
