import { seeAllTenants } from '../checkpoints/checkpoint.store.js'
import type { Database, Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { type ReplicationDeps, STEP_TIMEOUT_MS } from './replication-deps.js'

/** A region's database, for as long as something is done with it. */
export interface ReplicaPlace {
  readonly region: Region
  readonly database: Database
}

/** A transaction on a region's copies of other regions' chains, which sees one company. */
export const inReplica = <T>(
  { database }: Pick<ReplicaPlace, 'database'>,
  companyId: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> => database.transaction({ companies: [companyId], schema: 'replica', timeoutMs: STEP_TIMEOUT_MS }, work)

/** A transaction on how far all replicas of a region are. */
export const overReplicas = <T>(
  { database }: Pick<ReplicaPlace, 'database'>,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> =>
  database.transaction({ schema: 'replica', readOnly: true, timeoutMs: STEP_TIMEOUT_MS }, async (tx) => {
    await seeAllTenants(tx)
    return work(tx)
  })

/** Reads what a company has at home. `REGION_UNAVAILABLE` where the region is not configured. */
export const atHome = <T>(
  { registry }: Pick<ReplicationDeps, 'registry'>,
  home: Region,
  companyId: string,
  read: (tx: Transaction) => Promise<T>,
): Promise<T> =>
  registry.use(home, ({ database }) =>
    database.transaction({ companies: [companyId], readOnly: true, timeoutMs: STEP_TIMEOUT_MS }, read),
  )
