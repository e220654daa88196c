import { DatabaseError } from '../db/database-error.js'
import type { Database, Transaction } from '../db/database.js'
import { DeadlineExceeded, type Deadline } from '../kernel/deadline.js'
import { commitBatch, HeadsMissingError, type CommittedBatch } from './commit-batch.js'
import { createHeads, hasEvent, lockHeads } from './committer.store.js'
import type { SealedDraft } from './event-draft.js'

/** Kept back from a transaction's time, to find out what became of a COMMIT whose answer was lost. */
const OUTCOME_RESERVE_MS = 1_000
/** With less than this left a transaction isn't begun. */
const TRANSACTION_MS_MIN = 250
const ATTEMPTS_MAX = 4

/** The COMMIT went unanswered, and the transaction is known not to have happened. */
class NotCommittedError extends Error {
  override readonly name = 'NotCommittedError'
  constructor(options: { cause: unknown }) {
    super('the transaction was not committed', options)
  }
}

/** The COMMIT went unanswered, and the region doesn't say what became of it. */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError'
  constructor(options: { cause: unknown }) {
    super('the outcome of the transaction is unknown', options)
  }
}

/** Records the requests of one batch in one transaction, as often as it takes and once. */
export class BatchTransaction {
  readonly #database: Database
  readonly #requests: readonly (readonly SealedDraft[])[]
  readonly #deadline: Deadline
  readonly #onPrepared: () => void
  readonly #holdKeys: (tx: Transaction) => Promise<void>
  readonly #companies: readonly string[]
  readonly #workspaces: ReadonlyMap<string, { readonly workspaceId: string; readonly companyId: string }>

  /**
   * `holdKeys` makes sure that the keys which sealed the drafts are there and stay; what it throws ends the attempt.
   * `onPrepared` is told when nothing is left to do but to commit.
   */
  constructor(
    database: Database,
    requests: readonly (readonly SealedDraft[])[],
    deadline: Deadline,
    holdKeys: (tx: Transaction) => Promise<void>,
    onPrepared: () => void,
  ) {
    this.#database = database
    this.#requests = requests
    this.#deadline = deadline
    this.#onPrepared = onPrepared
    this.#holdKeys = holdKeys
    const drafts = requests.flat()
    this.#companies = [...new Set(drafts.map((draft) => draft.companyId))]
    this.#workspaces = new Map(
      drafts.map(({ workspaceId, companyId }) => [workspaceId, { workspaceId, companyId }] as const),
    )
  }

  /**
   * Answers after the commit, having tried again what a lost connection or a deadlock undid. Throws
   * {@link OutcomeUnknownError}; after every other error, {@link isOutage} or not, nothing was recorded.
   */
  async run(): Promise<CommittedBatch> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#commit()
      } catch (error) {
        if (attempt === ATTEMPTS_MAX) throw error
        if (error instanceof HeadsMissingError) await this.#createHeads()
        else if (!isWorthRepeating(error)) throw error
      }
    }
  }

  async #commit(): Promise<CommittedBatch> {
    const done: { batch?: CommittedBatch } = {}
    try {
      await this.#database.transaction(
        { companies: this.#companies, timeoutMs: timeFor(this.#deadline) },
        async (tx) => {
          // Sent together, and held before the heads are: who destroys keys waits for all of these, and for no head.
          const held = this.#holdKeys(tx)
          const [batch] = await Promise.all([commitBatch(tx, this.#requests), held])
          done.batch = batch
          this.#onPrepared()
        },
      )
      await done.batch!.written
    } catch (error) {
      const { batch } = done
      const unknown = error instanceof DatabaseError && error.commitUnknown && batch !== undefined
      if (!unknown) throw error
      if (!(await this.#didCommit(batch))) throw new NotCommittedError({ cause: error })
    }
    return done.batch!
  }

  /**
   * What became of a COMMIT whose answer was lost. Taking the heads' locks waits for that transaction to have ended, one
   * way or the other; after that its witness is there or will never be.
   */
  async #didCommit({ witnessId }: CommittedBatch): Promise<boolean> {
    // Without a write there was nothing to commit, and what was read had been committed by others.
    if (witnessId === null) return true
    const timeoutMs = Math.max(TRANSACTION_MS_MIN, this.#deadline.remainingMs())
    try {
      return await this.#database.transaction({ companies: this.#companies, timeoutMs }, async (tx) => {
        await lockHeads(tx, [...this.#workspaces.keys()])
        return hasEvent(tx, witnessId)
      })
    } catch (cause) {
      throw new OutcomeUnknownError({ cause })
    }
  }

  #createHeads(): Promise<void> {
    return this.#database.transaction({ companies: this.#companies, timeoutMs: timeFor(this.#deadline) }, (tx) =>
      createHeads(tx, [...this.#workspaces.values()]),
    )
  }
}

/** True where too little time is left to begin a transaction. */
export const isTooLate = (deadline: Deadline): boolean =>
  deadline.remainingMs() - OUTCOME_RESERVE_MS < TRANSACTION_MS_MIN

/** What a transaction begun now may take, in milliseconds. Throws {@link DeadlineExceeded} where that is too little. */
export function timeFor(deadline: Deadline): number {
  if (isTooLate(deadline)) throw new DeadlineExceeded('no time is left for a transaction')
  return deadline.remainingMs() - OUTCOME_RESERVE_MS
}

/** The region, not the data, is the trouble. */
export const isOutage = (error: unknown): boolean =>
  error instanceof DeadlineExceeded ||
  error instanceof NotCommittedError ||
  (error instanceof DatabaseError && error.refusesWrites)

/** Nothing was recorded, and a fresh connection or another turn may do: a lost connection, a deadlock. */
const isWorthRepeating = (error: unknown): boolean =>
  error instanceof NotCommittedError ||
  (error instanceof DatabaseError &&
    (error.kind === 'serialization' || (error.kind === 'unreachable' && error.code !== 'ECONNREFUSED')))
