import type { Log } from '../db/log.js'
import type { Region } from '../kernel/region.js'
import type { CheckpointAlarms } from './checkpoint-alarms.js'
import { copyCheckpoints, newKeptMemory } from './copy-checkpoints.js'
import { type CopyPlace, type PlaceDeps, placesOf } from './copy-place.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'

const BATCH_MAX = 100

interface Lane {
  readonly place: CopyPlace
  readonly waiting: Map<string, SignedCheckpoint>
  running: Promise<void> | null
}

/**
 * Copies checkpoints to the control database and to another region, apart from signing: a place that is down delays
 * nobody. Of several of one chain that wait the largest goes. What fails is left to the next sweep.
 */
export class CheckpointCopier {
  readonly #deps: PlaceDeps & { readonly alarms: CheckpointAlarms; readonly log: Log }
  readonly #kept = newKeptMemory()
  readonly #lanes = new Map<string, Lane>()
  #stopped = false

  constructor(deps: PlaceDeps & { readonly alarms: CheckpointAlarms; readonly log: Log }) {
    this.#deps = deps
  }

  /** Copies the checkpoints of a region's chains to all of its places, or to one. */
  enqueue(home: Region, checkpoints: readonly SignedCheckpoint[], only?: CopyPlace): void {
    if (this.#stopped || checkpoints.length === 0) return
    for (const place of only === undefined ? placesOf(this.#deps, home) : [only]) {
      const name = `${home} ${place.name}`
      let lane = this.#lanes.get(name)
      if (lane === undefined) {
        lane = { place, waiting: new Map(), running: null }
        this.#lanes.set(name, lane)
      }
      for (const checkpoint of checkpoints) {
        const waiting = lane.waiting.get(checkpoint.workspaceId)
        if (waiting === undefined || waiting.treeSize < checkpoint.treeSize)
          lane.waiting.set(checkpoint.workspaceId, checkpoint)
      }
      this.#run(home, lane)
    }
  }

  /** Resolves when what was under way is copied or has failed; what waits behind it is left to the next start. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#lanes.values()].flatMap(({ running }) => running ?? []))
  }

  #run(home: Region, lane: Lane): void {
    if (lane.running !== null) return
    lane.running = this.#copyAll(home, lane).finally(() => {
      lane.running = null
      if (lane.waiting.size > 0 && !this.#stopped) this.#run(home, lane)
    })
  }

  /** Never rejects. */
  async #copyAll(home: Region, { place, waiting }: Lane): Promise<void> {
    const { registry, alarms, log } = this.#deps
    while (waiting.size > 0 && !this.#stopped) {
      const batch = [...waiting.values()].slice(0, BATCH_MAX)
      for (const checkpoint of batch) waiting.delete(checkpoint.workspaceId)
      try {
        await copyCheckpoints({ registry, alarms, kept: this.#kept }, home, place, batch)
      } catch (err) {
        waiting.clear()
        log.warn({ region: home, place: place.name, err }, 'checkpoints could not be copied; the next sweep does it')
      }
    }
  }
}
