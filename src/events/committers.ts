import type { Region } from '../kernel/region.js'
import { RegionCommitter, type CommitterDeps } from './committer.js'

/** The committers of this process, one for each region that anything is recorded in. */
export class Committers {
  readonly #deps: CommitterDeps
  readonly #byRegion = new Map<Region, RegionCommitter>()

  constructor(deps: CommitterDeps) {
    this.#deps = deps
  }

  of(region: Region): RegionCommitter {
    let committer = this.#byRegion.get(region)
    if (committer === undefined) {
      committer = new RegionCommitter(region, this.#deps)
      this.#byRegion.set(region, committer)
    }
    return committer
  }

  /** For shutdown: what was taken is answered, nothing more is taken. */
  async drain(): Promise<void> {
    await Promise.all([...this.#byRegion.values()].map((committer) => committer.drain()))
  }
}
