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

/** The region may not be committed in by this process any more: somebody else may write its events elsewhere. */
export class NotHomeError extends Error {
  override readonly name = 'NotHomeError'
}

/** What one batch is committed under. */
export interface BatchOptions {
  readonly deadline: Deadline
  /** Makes sure that the keys which sealed the drafts are there and stay; what it throws ends the attempt. */
  readonly holdKeys: (tx: Transaction) => Promise<void>
  /** Told when nothing is left to do but to commit. */
  readonly onPrepared?: () => void
  /** Extends the chains in another way than {@link commitBatch}. */
  readonly extend?: (tx: Transaction) => Promise<CommittedBatch>
  /** For how many milliseconds at least it may still be committed here; asked last before the COMMIT. 0: not any more. */
  readonly homeLeftMs?: () => number
  /** Nobody waits for it any more: what is not committed is not to be. */
  readonly signal?: AbortSignal
}

/** Records the requests of one batch in one transaction, as often as it takes and once. */
export class BatchTransaction {
  readonly #database: Database
  readonly #requests: readonly (readonly SealedDraft[])[]
  readonly #options: BatchOptions
  readonly #companies: readonly string[]
  readonly #workspaces: ReadonlyMap<string, { readonly workspaceId: string; readonly companyId: string }>

  constructor(database: Database, requests: readonly (readonly SealedDraft[])[], options: BatchOptions) {
    this.#database = database
    this.#requests = requests
    this.#options = options
    const drafts = requests.flat()
    this.#companies = [...new Set(drafts.map((draft) => draft.companyId))]
    this.#workspaces = new Map(
      drafts.map(({ workspaceId, companyId }) => [workspaceId, { workspaceId, companyId }] as const),
    )
  }

  /**
   * Answers after the commit, having tried again what a lost connection or a deadlock undid. Throws
   * {@link OutcomeUnknownError}; after every other error, {@link isOutage} or not, nothing was recorded. Throws
   * {@link NotHomeError} where it may not be committed here any more.
   */
  async run(): Promise<CommittedBatch> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#commit()
      } catch (error) {
        if (attempt === ATTEMPTS_MAX || this.#options.signal?.aborted === true) throw error
        if (error instanceof HeadsMissingError) await this.#createHeads()
        else if (!isWorthRepeating(error)) throw error
      }
    }
  }

  async #commit(): Promise<CommittedBatch> {
    const { holdKeys, onPrepared, extend, signal } = this.#options
    const done: { batch?: CommittedBatch } = {}
    try {
      await this.#database.transaction(
        { companies: this.#companies, timeoutMs: this.#timeMs(), ...(signal === undefined ? {} : { signal }) },
        async (tx) => {
          // Sent together, and held before the heads are: who destroys keys waits for all of these, and for no head.
          const held = holdKeys(tx)
          const [batch] = await Promise.all([extend?.(tx) ?? commitBatch(tx, this.#requests), held])
          done.batch = batch
          onPrepared?.()
          this.#requireHome()
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

  /** A transaction ends before the leave to commit does. */
  #timeMs(): number {
    this.#requireHome()
    const { deadline, homeLeftMs } = this.#options
    return Math.min(timeFor(deadline), homeLeftMs?.() ?? Infinity)
  }

  #requireHome(): void {
    if (this.#options.homeLeftMs?.() === 0) throw new NotHomeError('the region may not be committed in any more')
  }

  /**
   * What became of a COMMIT whose answer was lost. Taking the heads' locks waits for that transaction to have ended, one
   * way or the other; after that its witness is there or will never be.
   */
  async #didCommit({ witnessId }: CommittedBatch): Promise<boolean> {
    // Without a write there was nothing to commit, and what was read had been committed by others.
    if (witnessId === null) return true
    const timeoutMs = Math.max(TRANSACTION_MS_MIN, this.#options.deadline.remainingMs())
    try {
      this.#options.signal?.throwIfAborted()
      return await this.#database.transaction({ companies: this.#companies, timeoutMs }, async (tx) => {
        await lockHeads(tx, [...this.#workspaces.keys()])
        return hasEvent(tx, witnessId)
      })
    } catch (cause) {
      throw new OutcomeUnknownError({ cause })
    }
  }

  #createHeads(): Promise<void> {
    return this.#database.transaction({ companies: this.#companies, timeoutMs: this.#timeMs() }, (tx) =>
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
