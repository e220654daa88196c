import { seeAllTenants } from '../checkpoints/checkpoint.store.js'
import type { Database, Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { HOME_TIMEOUT_MS, type ReplicationDeps, STEP_TIMEOUT_MS } from './replication-deps.js'

/** A region's database, for as long as something is done with it. */
export interface ReplicaPlace {
  readonly region: Region
  readonly database: Database
  readonly signal?: AbortSignal
}

/** As an option of a transaction. */
const endedBy = ({ signal }: { readonly signal?: AbortSignal }) => (signal === undefined ? {} : { signal })

/** A transaction on a region's copies of other regions' chains, which sees one company. */
export const inReplica = <T>(
  { database }: Pick<ReplicaPlace, 'database'>,
  companyId: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> => database.transaction({ companies: [companyId], schema: 'replica', timeoutMs: STEP_TIMEOUT_MS }, work)

/** A transaction on how far all replicas of a region are. */
export const overReplicas = <T>(place: ReplicaPlace, work: (tx: Transaction) => Promise<T>): Promise<T> =>
  place.database.transaction(
    { schema: 'replica', readOnly: true, timeoutMs: STEP_TIMEOUT_MS, ...endedBy(place) },
    async (tx) => {
      await seeAllTenants(tx)
      return work(tx)
    },
  )

/** Reads what a company has at home. `REGION_UNAVAILABLE` where the region is not configured. */
export const atHome = <T>(
  deps: Pick<ReplicationDeps, 'registry' | 'signal'>,
  home: Region,
  companyId: string,
  read: (tx: Transaction) => Promise<T>,
): Promise<T> =>
  deps.registry.use(home, ({ database }) =>
    database.transaction(
      { companies: [companyId], readOnly: true, timeoutMs: HOME_TIMEOUT_MS, ...endedBy(deps) },
      read,
    ),
  )

/** Reads how far chains of all tenants are at home. */
export const overHome = <T>(
  deps: Pick<ReplicationDeps, 'registry' | 'signal'>,
  home: Region,
  read: (tx: Transaction) => Promise<T>,
): Promise<T> =>
  deps.registry.use(home, ({ database }) =>
    database.transaction({ readOnly: true, timeoutMs: HOME_TIMEOUT_MS, ...endedBy(deps) }, read),
  )
