import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Database } from '../db/database.js'
import type { Transaction } from '../db/pooled-transaction.js'
import { transactionOf } from '../db/entity-transaction.js'
import { withControl } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import type { AdminEntry } from './admin-entry.js'
import { appendAdminEntries } from './append-admin-entries.js'

/** A change of the control database in the making. */
export interface ControlChange {
  readonly em: SqlEntityManager
  readonly tx: Transaction
  /** Notes what is to be written in the admin log, at the end and in the same transaction. */
  log(this: void, entry: AdminEntry): void
}

/**
 * Changes the control database in one transaction that ends with the admin log's record of it. `REGION_UNAVAILABLE`
 * (regions CONTROL) where it doesn't answer in time; what `work` throws; every other failure is a DatabaseError.
 */
export async function changeControl<T>(
  deps: { readonly control: Database; readonly clock: Clock },
  work: (change: ControlChange) => Promise<T>,
): Promise<T> {
  return withControl(deps.control, (root) =>
    root.transactional(async (em) => {
      const tx = transactionOf(em)
      const entries: AdminEntry[] = []
      const result = await work({ em, tx, log: (entry) => entries.push(entry) })
      await appendAdminEntries(tx, deps.clock, entries)
      return result
    }),
  )
}
