import { DatabaseError } from '../db/database-error.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { ObjectStoreError } from '../objects/object-errors.js'

/** REGION_UNAVAILABLE where the region's bucket or database does not answer. */
export async function orUnavailable<T>(region: Region, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const isAway = error instanceof ObjectStoreError || (error instanceof DatabaseError && error.unavailable)
    if (!isAway) throw error
    throw new DomainError('REGION_UNAVAILABLE', `The archive of region ${region} does not answer now.`, {
      details: { regions: [region] },
      cause: error,
    })
  }
}
