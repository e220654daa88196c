import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { DatabaseError, toDatabaseError } from '../db/database-error.js'
import type { Database } from '../db/database.js'
import { DeadlineExceeded, within } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'

const TIMEOUT_MS = 5_000

/**
 * Runs work on the control database through MikroORM, in a fork of its own. `REGION_UNAVAILABLE` (regions CONTROL)
 * where it doesn't answer in time; every other failure of the database is a DatabaseError.
 */
export async function withControl<T>(control: Database, work: (em: SqlEntityManager) => Promise<T>): Promise<T> {
  return answered(control, () => work(control.em()))
}

/** {@link withControl} for work that only reads: once more where the connection turned out to be dead. */
export async function readControl<T>(control: Database, work: (em: SqlEntityManager) => Promise<T>): Promise<T> {
  return answered(control, async () => {
    try {
      return await work(control.em())
    } catch (error) {
      if (error instanceof DomainError || toDatabaseError(error, control.name).kind !== 'unreachable') throw error
      return work(control.em())
    }
  })
}

async function answered<T>(control: Database, work: () => Promise<T>): Promise<T> {
  try {
    return await within(TIMEOUT_MS, work())
  } catch (error) {
    if (error instanceof DomainError) throw error
    if (error instanceof DeadlineExceeded) throw unavailable(error)
    const failure: DatabaseError = toDatabaseError(error, control.name)
    throw failure.unavailable ? unavailable(failure) : failure
  }
}

/**
 * Runs work that speaks to the control database in statements of its own. `REGION_UNAVAILABLE` (regions CONTROL) where
 * it doesn't answer; everything else passes.
 */
export async function orControlUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof DatabaseError && error.unavailable ? unavailable(error) : error
  }
}

const unavailable = (cause: unknown): DomainError =>
  new DomainError('REGION_UNAVAILABLE', 'The control database does not answer; try again.', {
    details: { regions: ['CONTROL'] },
    cause,
  })
