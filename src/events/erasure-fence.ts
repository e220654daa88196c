import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'

/**
 * What a process knows of a region's erasures when it accepts events: the region's key epoch, and the fence of its
 * pending queue. Either may be old; what is recorded or queued is held against the newest.
 */
export interface Acceptability {
  readonly epoch: number
  readonly fence: number
}

/**
 * A person's erasure came to its end since the events were accepted: they were not recorded, and are to be accepted
 * anew, so that no event accepted before comes after it.
 */
export class OvertakenByErasureError extends DomainError {
  constructor(region: Region) {
    super('REGION_UNAVAILABLE', `Region ${region} has just ended an erasure; nothing was recorded, try again.`, {
      details: { regions: [region] },
    })
  }
}
