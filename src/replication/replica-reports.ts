import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { type ReplicaState, saveReplicaStates } from '../regions/replica-state.store.js'

/** How often it is said anew that nothing has changed: so exact is the time for which a replica is behind. */
const REPEAT_AFTER_MS = 10_000

/** Tells control how far replicas are: what changed at once, the rest now and then. */
export class ReplicaReports {
  readonly #control: Database
  readonly #told = new Map<string, { readonly what: string; readonly atMs: number }>()

  constructor(control: Database) {
    this.#control = control
  }

  /** Throws DatabaseError; what could not be told is told next time. */
  async tell(replica: Region, states: readonly ReplicaState[]): Promise<void> {
    const nowMs = performance.now()
    const news = states.filter((state) => {
      const told = this.#told.get(nameOf(replica, state))
      return told === undefined || told.what !== textOf(state) || nowMs - told.atMs >= REPEAT_AFTER_MS
    })
    if (news.length === 0) return
    await saveReplicaStates(this.#control, replica, news)
    for (const state of news) this.#told.set(nameOf(replica, state), { what: textOf(state), atMs: nowMs })
  }

  /** These replicas are no more. */
  forget(replica: Region, workspaceIds: readonly string[]): void {
    for (const workspaceId of workspaceIds) this.#told.delete(nameOf(replica, { workspaceId }))
  }
}

const nameOf = (replica: Region, { workspaceId }: Pick<ReplicaState, 'workspaceId'>): string =>
  `${replica} ${workspaceId}`
const textOf = ({ sequence, isCurrent, stoppedReason }: ReplicaState): string =>
  `${sequence} ${isCurrent} ${stoppedReason}`
