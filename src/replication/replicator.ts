import { setTimeout as wait } from 'node:timers/promises'
import { regions, type Region } from '../kernel/region.js'
import { replicateRegion, replicateSome, type ReplicationRound } from './replicate-region.js'
import type { ReplicationDeps } from './replication-deps.js'

/** How often replicas are looked at unasked: what other processes record, and what an outage left behind. */
const POLL_MS = 1_000
/** The same where a region has none. That it is to have some is announced; this is for the word that was lost. */
const IDLE_POLL_MS = 10_000
/** After a commit, so that several commits make one round. */
const GATHER_MS = 50
/** The longest pause after failures in a row. */
const BACKOFF_MS_MAX = 5_000

export interface ReplicatorDeps extends ReplicationDeps {
  /** Told of each failed round; the replicator goes on by itself. */
  readonly onFailure: (replica: Region, error: unknown) => void
}

/** What one region's loop knows. */
interface Follower {
  /** The chains that are copied here, as the last full round found. */
  planned: ReadonlySet<string>
  /** Those that have grown since. */
  grown: Set<string>
  /** What is to be copied here may have changed. */
  isStale: boolean
  wake: () => void
}

/**
 * Copies chains to the replicas of their companies as they grow. Any number of processes may do this at once, and any of
 * them may die at it. Each region's replicas are seen to by themselves: one that is down holds up no other.
 */
export class Replicator {
  readonly #deps: ReplicatorDeps
  readonly #stop = new AbortController()
  readonly #followers = new Map<Region, Follower>()
  #loops: Promise<unknown> = Promise.resolve()

  constructor(deps: ReplicatorDeps) {
    this.#deps = deps
    for (const region of regions)
      this.#followers.set(region, { planned: new Set(), grown: new Set(), isStale: true, wake: () => undefined })
  }

  /** Follows every region, those configured later too. */
  start(): void {
    this.#loops = Promise.all([...this.#followers].map(([region, follower]) => this.#follow(region, follower)))
  }

  /** These chains have grown. Costs next to nothing where none of them is replicated. */
  nudge(chains: readonly { readonly workspaceId: string }[]): void {
    for (const follower of this.#followers.values()) {
      const before = follower.grown.size
      for (const { workspaceId } of chains) if (follower.planned.has(workspaceId)) follower.grown.add(workspaceId)
      if (follower.grown.size > before) follower.wake()
    }
  }

  /** What the listener on the channel of facts heard: a company or a workspace may have changed. */
  notified(payload: string): void {
    if (concernsReplicas(payload)) this.reset()
  }

  /** What is to be copied where may have changed. */
  reset(): void {
    for (const follower of this.#followers.values()) {
      follower.isStale = true
      follower.wake()
    }
  }

  /** Resolves when the rounds under way are over; none begins after it was called. */
  async stop(): Promise<void> {
    this.#stop.abort()
    for (const { wake } of this.#followers.values()) wake()
    await this.#loops
  }

  async #follow(replica: Region, follower: Follower): Promise<void> {
    let failures = 0
    let fullAtMs = -Infinity
    let pollMs = POLL_MS
    while (!this.#stop.signal.aborted) {
      const isFull = follower.isStale || failures > 0 || performance.now() - fullAtMs >= pollMs
      const failure = await this.#round(replica, follower, isFull)
      if (this.#stop.signal.aborted) return
      if (isFull) fullAtMs = performance.now()
      pollMs = follower.planned.size === 0 ? IDLE_POLL_MS : POLL_MS
      failures = failure === undefined ? 0 : failures + 1
      if (failures > 0) await this.#pause(Math.min(BACKOFF_MS_MAX, POLL_MS * 2 ** (failures - 1)))
      else await this.#untilWoken(follower, pollMs)
    }
  }

  async #round(replica: Region, follower: Follower, isFull: boolean): Promise<unknown> {
    const { grown } = follower
    follower.grown = new Set()
    if (this.#deps.registry.find(replica) === undefined) return undefined
    const { signal } = this.#stop
    try {
      const { behind, failures } = isFull
        ? await this.#fullRound(replica, follower, signal)
        : await replicateSome(this.#deps, replica, grown, signal)
      for (const workspaceId of behind) follower.grown.add(workspaceId)
      if (failures[0] !== undefined) this.#deps.onFailure(replica, failures[0])
      return failures[0]
    } catch (error) {
      if (!signal.aborted) this.#deps.onFailure(replica, error)
      return error
    }
  }

  #fullRound(replica: Region, follower: Follower, signal: AbortSignal): Promise<ReplicationRound> {
    follower.isStale = false
    return replicateRegion(this.#deps, replica, signal, (planned) => {
      // Before anything is copied: what grows meanwhile is heard of.
      follower.planned = new Set(planned.map(({ workspaceId }) => workspaceId))
    })
  }

  async #untilWoken(follower: Follower, pollMs: number): Promise<void> {
    if (!follower.isStale && follower.grown.size === 0) {
      const woken = new Promise<void>((resolve) => {
        follower.wake = resolve
      })
      await Promise.race([woken, this.#pause(pollMs)])
    }
    if (follower.isStale || follower.grown.size > 0) await this.#pause(GATHER_MS)
  }

  async #pause(ms: number): Promise<void> {
    // The only way it rejects is the stop, which every loop sees by itself.
    await wait(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined)
  }
}

function concernsReplicas(payload: string): boolean {
  // Everything on the channel is ours; a text that is no JSON is treated as if it could be about anything.
  try {
    const { table } = JSON.parse(payload) as { table?: unknown }
    return table === 'company' || table === 'workspace' || table === 'region_data_store'
  } catch {
    return true
  }
}
