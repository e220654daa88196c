import { setTimeout as wait } from 'node:timers/promises'
import type { Log } from '../db/log.js'
import type { Committers } from '../events/committers.js'
import type { Clock } from '../kernel/clock.js'
import { isRegion, type Region } from '../kernel/region.js'
import { draftKeyAnnouncement } from './announce-key.js'
import { CheckpointAlarms } from './checkpoint-alarms.js'
import { CheckpointCopier } from './checkpoint-copier.js'
import { allPlaces, type PlaceDeps, placesOf } from './copy-place.js'
import { type ChainPlace, RegionSigner } from './region-signer.js'
import type { ChainOutcome } from './sign-chain.js'
import type { SigningKeys } from './signing-keys.js'
import { sweepRegion } from './sweep-region.js'

/** A chain gets at most one checkpoint in this time. */
export const CHECKPOINT_INTERVAL_MS = 250
const SWEEP_MS_DEFAULT = 60_000
const BACKOFF_MS_MAX = 10_000
/** Chains of one transaction. */
const BATCH_CHAINS_MAX = 32
/** How often the table of regions is looked at for new ones. */
const REGIONS_POLL_MS = 1_000
/** Chains that wait; beyond that many the sweep finds them. */
const WAITING_CHAINS_MAX = 100_000

export interface CheckpointerDeps extends PlaceDeps {
  readonly keys: SigningKeys
  /** Records what chains are told of their keys. */
  readonly committers: () => Pick<Committers, 'of'>
  readonly clock: Clock
  readonly log: Log
  readonly sweepMs?: number
}

interface Lane {
  readonly region: Region
  readonly signer: RegionSigner
  /** Chains to sign, by workspace. */
  readonly waiting: Map<string, ChainPlace>
  /** When a chain may be signed next, on the monotonic clock. */
  readonly nextAtMs: Map<string, number>
  wake: () => void
}

/**
 * Signs the trees of the chains that grow: within a moment of a commit of this process, at most every 250 ms a chain, and
 * by a sweep each minute what other processes left unsigned or uncopied. Any number of processes may do this at once.
 */
export class Checkpointer {
  readonly alarms: CheckpointAlarms
  readonly #deps: CheckpointerDeps
  readonly #copier: CheckpointCopier
  readonly #lanes = new Map<Region, Lane>()
  readonly #loops: Promise<void>[] = []
  readonly #stop = new AbortController()
  readonly #started = new Set<Region>()
  readonly #notified = new Set<Promise<void>>()
  #running = false

  constructor(deps: CheckpointerDeps) {
    this.#deps = deps
    this.alarms = new CheckpointAlarms(deps.log, deps.clock)
    this.#copier = new CheckpointCopier({ ...deps, alarms: this.alarms })
  }

  /** Begins to sign and to sweep, in every region of the registry, those added later too. */
  start(): void {
    this.#running = true
    this.#loops.push(this.#supervise())
  }

  /** Resolves when what was under way is done. What was not signed yet is found by the next start. */
  async stop(): Promise<void> {
    this.#stop.abort()
    for (const lane of this.#lanes.values()) lane.wake()
    await Promise.all([...this.#loops, ...this.#notified])
    await this.#copier.stop()
  }

  /** Events were recorded in these chains: sign their trees. Also before `start`, which then begins with them. */
  nudge(region: Region, chains: readonly ChainPlace[]): void {
    const lane = this.#laneOf(region)
    for (const chain of chains) if (lane.waiting.size < WAITING_CHAINS_MAX) lane.waiting.set(chain.workspaceId, chain)
    lane.wake()
  }

  /**
   * A change that the control database tells of (`hyrelog_facts`): of a region's signing keys, its chains have to be told.
   */
  notified(payload: string): void {
    const region = regionOfKeyChange(payload)
    if (region === null || !this.#started.has(region)) return
    const sweeping = this.#sweepAnew(region)
    this.#notified.add(sweeping)
    void sweeping.finally(() => this.#notified.delete(sweeping))
  }

  /**
   * Looks through all chains of a region now: see {@link sweepRegion}. Answers how many there are. Throws where the
   * region does not answer.
   */
  async sweep(region: Region): Promise<number> {
    const { keys, log } = this.#deps
    const refreshed = await keys.refresh(region).catch((err: unknown) => {
      log.warn({ region, err }, 'the signing keys could not be published')
      return keys.of(region)
    })
    const wanted = new Set(placesOf(this.#deps, region).map(({ name }) => name))
    return sweepRegion(
      {
        ...this.#deps,
        alarms: this.alarms,
        places: allPlaces(this.#deps, region),
        keys: refreshed,
        signal: this.#stop.signal,
        onUnsigned: (chains) => this.nudge(region, chains),
        onUncopied: (place, checkpoints) => {
          // Copies in regions that are no longer the ones to copy to are compared, not renewed.
          if (wanted.has(place.name)) this.#copier.enqueue(region, checkpoints, place)
        },
        onFailure: (place, err) =>
          log.warn({ region, place: place.name, err }, 'copies of checkpoints could not be compared'),
      },
      region,
    )
  }

  async #supervise(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (const { region } of this.#deps.registry.list()) this.#laneOf(region)
      await this.#pause(REGIONS_POLL_MS)
    }
  }

  #laneOf(region: Region): Lane {
    let lane = this.#lanes.get(region)
    if (lane === undefined) {
      const signer = new RegionSigner(region, { ...this.#deps, alarms: this.alarms })
      lane = { region, signer, waiting: new Map(), nextAtMs: new Map(), wake: () => undefined }
      this.#lanes.set(region, lane)
    }
    if (this.#running && !this.#stop.signal.aborted && !this.#started.has(region)) {
      this.#started.add(region)
      this.#loops.push(this.#signLoop(lane), this.#sweepLoop(region))
    }
    return lane
  }

  /** Never rejects. */
  async #sweepAnew(region: Region): Promise<void> {
    try {
      await this.sweep(region)
    } catch (err) {
      if (!this.#stop.signal.aborted)
        this.#deps.log.warn({ region, err }, 'the checkpoints of the region could not be looked through')
    }
  }

  async #sweepLoop(region: Region): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#sweepAnew(region)
      await this.#pause(this.#deps.sweepMs ?? SWEEP_MS_DEFAULT)
    }
  }

  async #signLoop(lane: Lane): Promise<void> {
    let failures = 0
    while (!this.#stop.signal.aborted) {
      const due = takeDue(lane)
      if (due.length === 0) {
        await this.#untilDue(lane)
        continue
      }
      try {
        await this.#signSome(lane, due)
        failures = 0
      } catch (err) {
        failures++
        this.#deps.log.warn({ region: lane.region, err }, 'checkpoints could not be signed; it is tried again')
        // Newer places of the same chains have been put in meanwhile; they are the same chains.
        for (const chain of due) lane.waiting.set(chain.workspaceId, chain)
        await this.#pause(Math.min(BACKOFF_MS_MAX, CHECKPOINT_INTERVAL_MS * 2 ** Math.min(failures, 6)))
      }
    }
  }

  async #signSome(lane: Lane, due: readonly ChainPlace[]): Promise<void> {
    const { region, signer } = lane
    const outcomes = await signer.sign(due)
    this.#copier.enqueue(
      region,
      outcomes.flatMap(({ signed }) => signed ?? []),
    )
    await this.#announce(region, outcomes)
  }

  async #announce(region: Region, outcomes: readonly ChainOutcome[]): Promise<void> {
    const { current } = await this.#deps.keys.of(region)
    if (current === null) return
    const drafts = outcomes.flatMap(({ toReplace, chain }) =>
      toReplace === null || toReplace.id === current.id
        ? []
        : [
            draftKeyAnnouncement(
              { region, companyId: chain.companyId, workspaceId: chain.workspaceId },
              toReplace,
              current,
              this.#deps.clock.now(),
            ),
          ],
    )
    // Its commit nudges the chains, which are then signed by the new key.
    if (drafts.length > 0) await this.#deps.committers().of(region).record(drafts)
  }

  async #untilDue(lane: Lane): Promise<void> {
    const now = performance.now()
    let earliest = Number.POSITIVE_INFINITY
    for (const id of lane.waiting.keys()) earliest = Math.min(earliest, lane.nextAtMs.get(id) ?? now)
    if (earliest <= now) return
    const woken = new Promise<void>((resolve) => {
      lane.wake = resolve
    })
    await (earliest === Number.POSITIVE_INFINITY ? woken : Promise.race([woken, this.#pause(earliest - now)]))
    lane.wake = () => undefined
  }

  async #pause(ms: number): Promise<void> {
    // The only way it rejects is the stop, which every loop sees by itself.
    await wait(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined)
  }
}

function regionOfKeyChange(payload: string): Region | null {
  try {
    const { table, id } = JSON.parse(payload) as { table?: unknown; id?: unknown }
    return table === 'signing_key' && isRegion(id) ? id : null
  } catch {
    // Not one of ours: the sweep finds out by itself whatever it was about.
    return null
  }
}

/** Takes the chains that may be signed now. */
function takeDue({ waiting, nextAtMs }: Lane): ChainPlace[] {
  const now = performance.now()
  const due: ChainPlace[] = []
  for (const [id, chain] of waiting) {
    if ((nextAtMs.get(id) ?? 0) > now) continue
    due.push(chain)
    waiting.delete(id)
    nextAtMs.set(id, now + CHECKPOINT_INTERVAL_MS)
    if (due.length === BATCH_CHAINS_MAX) break
  }
  if (nextAtMs.size > 2 * BATCH_CHAINS_MAX + 2 * waiting.size)
    for (const [id, at] of nextAtMs) if (at <= now) nextAtMs.delete(id)
  return due
}
