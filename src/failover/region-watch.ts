import { RegionDownError } from '../events/recording-route.js'
import type { Region } from '../kernel/region.js'
import { checkRegion } from '../regions/check-region.js'
import type { RegionGateway } from '../regions/region-gateway.js'
import type { RegionRegistry } from '../regions/region-registry.js'

/** A commit that takes this long makes us look whether its region is there. */
const PATIENCE_MS = 1_000

export interface RegionWatchDeps {
  readonly registry: Pick<RegionRegistry, 'use'>
  readonly gateway: Pick<RegionGateway, 'heard' | 'isBroken'>
}

/** Finds out whether a region takes writes, on behalf of all who wait for it in this process. */
export class RegionWatch {
  readonly #deps: RegionWatchDeps
  readonly #looking = new Map<Region, Promise<boolean>>()

  constructor(deps: RegionWatchDeps) {
    this.#deps = deps
  }

  /**
   * Whether the region takes no writes: known at once of a server that refuses, after two seconds of one that is silent.
   * Whoever reads hears of it, too.
   */
  isDown(region: Region): Promise<boolean> {
    const under = this.#looking.get(region)
    if (under !== undefined) return under
    const looking = this.#look(region).finally(() => this.#looking.delete(region))
    this.#looking.set(region, looking)
    return looking
  }

  /** Aborted when the region does not answer while a commit in it takes long. */
  watch(region: Region): { readonly signal: AbortSignal; readonly end: () => void } {
    const abort = new AbortController()
    const timer = setTimeout(() => void look(), this.#deps.gateway.isBroken(region) ? 0 : PATIENCE_MS)
    let over = false
    const look = async (): Promise<void> => {
      // What is no fault of the region's is met by the commit, too.
      const isDown = await this.isDown(region).catch(() => false)
      if (isDown && !over) abort.abort(new RegionDownError(`region ${region} does not answer`))
    }
    return {
      signal: abort.signal,
      end: () => {
        over = true
        clearTimeout(timer)
      },
    }
  }

  async #look(region: Region): Promise<boolean> {
    const { registry, gateway } = this.#deps
    let check = await checkRegion(registry, region)
    // One look may have been late on our side.
    if (check.reason === 'timeout') check = await checkRegion(registry, region)
    if (check.answers && check.writable) return false
    if (check.reason === 'overloaded') return false
    gateway.heard(region, check.answers ? null : check.reason)
    return true
  }
}
