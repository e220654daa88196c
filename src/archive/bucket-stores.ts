import type { Region } from '../kernel/region.js'
import type { ObjectStore } from '../objects/object-store.js'
import type { ColdStorage } from '../regions/region-data-store.js'
import type { RegionRegistry } from '../regions/region-registry.js'

/** Opens a region's bucket. Nothing is asked of it yet. */
export type OpenStore = (place: ColdStorage, region: Region) => Promise<ObjectStore>

/** The buckets of the regions, each opened when it is first needed. Nothing of a region is in another's. */
export class BucketStores {
  readonly #registry: Pick<RegionRegistry, 'get'>
  readonly #open: OpenStore
  readonly #stores = new Map<string, Promise<ObjectStore>>()

  constructor(registry: Pick<RegionRegistry, 'get'>, open: OpenStore) {
    this.#registry = registry
    this.#open = open
  }

  /** REGION_UNAVAILABLE where the region is not configured. */
  of(region: Region): Promise<ObjectStore> {
    const place = this.#registry.get(region).coldStorage
    const name = `${region} ${place.provider} ${place.bucket}`
    let store = this.#stores.get(name)
    if (store === undefined) {
      store = this.#open(place, region)
      this.#stores.set(name, store)
      // One that could not be opened is tried again.
      store.catch(() => this.#stores.delete(name))
    }
    return store
  }
}
