import type { Database, Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { seeAllTenants } from './checkpoint.store.js'
import { type CheckpointCopy, copyTables, readCopies, readCopyRange, writeCopies } from './checkpoint-copy.store.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'

const TIMEOUT_MS = 5_000

/** Where copies of a region's checkpoints are kept: the control database, or another region. */
export interface CopyPlace {
  readonly name: 'CONTROL' | Region
  /** The copies of these workspaces that are there. Throws DatabaseError. */
  read(workspaceIds: readonly string[]): Promise<CheckpointCopy[]>
  /** Copies of a region's chains by workspace, from one (exclusive) to another (inclusive; null: to the end). */
  readRange(home: Region, after: string | null, upTo: string | null): Promise<CheckpointCopy[]>
  /** Keeps the checkpoints, each unless one as large is kept already. */
  write(home: Region, checkpoints: readonly SignedCheckpoint[]): Promise<void>
}

/**
 * Where the copies of a region's checkpoints go: the control database and the next configured region after it. Copies in
 * other regions, from a time when others were configured, are found by {@link allPlaces}.
 */
export function placesOf(deps: PlaceDeps, home: Region): CopyPlace[] {
  const handles = deps.registry.list()
  const at = handles.findIndex(({ region }) => region === home)
  const next = handles[(at + 1) % handles.length]
  const control = controlPlace(deps.control)
  return next === undefined || next.region === home ? [control] : [control, regionPlace(deps.registry, next.region)]
}

/** The control database and every configured region but the home. */
export const allPlaces = (deps: PlaceDeps, home: Region): CopyPlace[] => [
  controlPlace(deps.control),
  ...deps.registry.list().flatMap(({ region }) => (region === home ? [] : [regionPlace(deps.registry, region)])),
]

export interface PlaceDeps {
  readonly registry: Pick<RegionRegistry, 'list' | 'use'>
  readonly control: Database
}

const controlPlace = (control: Database): CopyPlace =>
  place('CONTROL', (_, work) => control.transaction({ timeoutMs: TIMEOUT_MS }, work))

const regionPlace = (registry: Pick<RegionRegistry, 'use'>, region: Region): CopyPlace =>
  place(region, (companies, work) =>
    registry.use(region, ({ database }) =>
      database.transaction({ timeoutMs: TIMEOUT_MS, ...(companies === null ? {} : { companies }) }, async (tx) => {
        if (companies === null) await seeAllTenants(tx)
        return work(tx)
      }),
    ),
  )

/** `companies`: those whose copies are written; null to read all. */
type Transact = <T>(companies: readonly string[] | null, work: (tx: Transaction) => Promise<T>) => Promise<T>

function place(name: CopyPlace['name'], transact: Transact): CopyPlace {
  const table = name === 'CONTROL' ? copyTables.control : copyTables.region
  return {
    name,
    read: (workspaceIds) => transact(null, (tx) => readCopies(tx, table, workspaceIds)),
    readRange: (home, after, upTo) => transact(null, (tx) => readCopyRange(tx, table, home, after, upTo)),
    write: (home, checkpoints) =>
      transact([...new Set(checkpoints.map(({ companyId }) => companyId))], (tx) =>
        writeCopies(tx, table, home, checkpoints),
      ),
  }
}
