import { DatabaseError } from '../db/database-error.js'
import { DomainError } from '../kernel/domain-error.js'

/** Runs what needs the control database; `REGION_UNAVAILABLE` (CONTROL) where that does not answer. */
export async function withControlReachable<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof DatabaseError && error.unavailable)) throw error
    throw new DomainError('REGION_UNAVAILABLE', 'The control database does not answer now.', {
      details: { regions: ['CONTROL'] },
      cause: error,
    })
  }
}
