import type { Clock } from '../kernel/clock.js'
import { LocalObjectStore } from './local/local-store.js'
import type { ObjectStore } from './object-store.js'

/** Which bucket of whom: a region's cold storage. */
export interface ObjectPlace {
  readonly provider: 'LOCAL' | 'AWS' | 'AZURE' | 'GCP'
  /** Bucket or container; for LOCAL a folder. */
  readonly bucket: string
}

/** Opens the bucket of a region. Nothing is asked of it yet: a store that can't be reached says so when it is used. */
export async function openObjectStore(place: ObjectPlace, clock: Clock): Promise<ObjectStore> {
  if (place.provider !== 'LOCAL') throw new Error('not yet')
  return new LocalObjectStore({ folder: place.bucket, clock })
}
