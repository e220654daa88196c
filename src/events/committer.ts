import type { KeyObject } from 'node:crypto'
import type { Database, Transaction } from '../db/database.js'
import { deadlineAfter, within, type Deadline } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { HomeTicket } from '../regions/region-modes.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { holdSubjectKeys, readFence, SubjectKeysDestroyedError } from '../sealing/hold-subject-keys.js'
import { blobKeyId } from '../sealing/sealed-blob.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import {
  type BatchOptions,
  BatchTransaction,
  isOutage,
  isTooLate,
  NotHomeError,
  OutcomeUnknownError,
  timeFor,
} from './batch-transaction.js'
import type { CommittedBatch, Outcome } from './commit-batch.js'
import { type Acceptability, OvertakenByErasureError } from './erasure-fence.js'
import { sealDraft, type EventDraft, type SealedDraft } from './event-draft.js'
import type { Receipt } from './receipt.js'
import { RegionDownError, type RecordingRoute } from './recording-route.js'

/** From taking a request to answering it. */
export const COMMIT_TIMEOUT_MS = 5_000
/** One transaction; a single request may be as large as the API admits. */
const BATCH_EVENTS_MAX = 1_000
const BATCH_BYTES_MAX = 8 * 1_048_576
/** While one is on its way to the disk, the next seals and asks for the heads. */
const BATCHES_IN_FLIGHT_MAX = 2
/** How long a batch that can't get at its heads keeps the next one back: that one may be for other workspaces. */
const PREPARATION_MS_MAX = 50
/** Requests taken and not yet answered, per region and process. */
export const WAITING_EVENTS_MAX = 20_000
const WAITING_BYTES_MAX = 128 * 1_048_576
const RETRY_AFTER_MS = 500
/** How often one batch is sealed, where keys are destroyed while it is under way. */
const SEALINGS_MAX = 5

/** One transaction that recorded something. */
export interface CommitFigures {
  /** What it was asked to record. */
  readonly events: number
  /** What is new: the rest were repeats, or refused. */
  readonly recorded: number
  /** From the start of its preparation to the commit's answer. */
  readonly ms: number
}

export interface CommitterDeps {
  readonly registry: Pick<RegionRegistry, 'use'>
  readonly subjectKeys: SubjectKeys
  readonly tagKey: (companyId: string) => Promise<KeyObject>
  /** Told after each commit that recorded something, so that whatever follows the chains need not poll. Never throws. */
  readonly onCommitted?: (
    region: Region,
    chains: readonly { workspaceId: string; companyId: string }[],
    batch: CommitFigures,
  ) => void
  /** Where events go that can't be committed in their region; left out, nowhere. */
  readonly route?: RecordingRoute
  /** Where an operator wants another bound than {@link WAITING_EVENTS_MAX}. */
  readonly waitingEventsMax?: number
}

interface Waiting {
  readonly drafts: readonly EventDraft[]
  /** What was known of erasures before they were accepted; null: whoever asked sees to these itself. */
  readonly known: Acceptability | null
  readonly bytes: number
  readonly deadline: Deadline
  readonly settle: (outcome: Outcome) => void
  readonly fail: (error: unknown) => void
}

/**
 * Records events in one region: requests that arrive while others commit are committed together, in one transaction,
 * which is what lets a chain whose head is a single locked row keep up with many writers. Nothing that matters is kept
 * in memory: heads and idempotency keys are read under the lock, so any number of processes may do this at once.
 */
export class RegionCommitter {
  readonly #region: Region
  readonly #deps: CommitterDeps
  readonly #queue: Waiting[] = []
  readonly #inFlight = new Set<Promise<void>>()
  #waitingEvents = 0
  #waitingBytes = 0
  #pumpScheduled = false
  #preparing = false
  #draining = false

  constructor(region: Region, deps: CommitterDeps) {
    this.#region = region
    this.#deps = deps
  }

  /** What to take before events are accepted, for {@link record}. */
  get known(): Acceptability {
    const { subjectKeys, route } = this.#deps
    return { epoch: subjectKeys.epoch(this.#region), fence: route?.fence(this.#region) ?? 0 }
  }

  /**
   * Records the drafts, all of this region, in order, all or none; answers after the commit, a receipt for each. What the
   * region can't take now is queued, where there is a queue, and answered when that has been committed.
   * `IDEMPOTENCY_CONFLICT`: a key of theirs stood for other content. `RATE_LIMITED`: too many are waiting.
   * `REGION_UNAVAILABLE`: the region did not take them in time; nothing was recorded unless the message says that it
   * may have been. With what was {@link known} before they were accepted: {@link OvertakenByErasureError}.
   */
  record(drafts: readonly EventDraft[], known: Acceptability | null = null): Promise<readonly Receipt[]> {
    if (drafts.length === 0) return Promise.resolve([])
    const refusal = this.#refusal(drafts.length)
    if (refusal !== null) return Promise.reject(refusal)
    return new Promise((resolve, reject) => {
      const bytes = drafts.reduce((sum, draft) => sum + draft.bytes, 0)
      this.#waitingEvents += drafts.length
      this.#waitingBytes += bytes
      const done = (): void => {
        this.#waitingEvents -= drafts.length
        this.#waitingBytes -= bytes
      }
      this.#queue.push({
        drafts,
        known,
        bytes,
        deadline: deadlineAfter(COMMIT_TIMEOUT_MS),
        settle: (outcome) => {
          done()
          if ('receipts' in outcome) resolve(outcome.receipts)
          else reject(outcome.refusal)
        },
        fail: (error) => {
          done()
          reject(error)
        },
      })
      this.#schedulePump()
    })
  }

  /** Takes nothing more and resolves when everything taken has been answered. */
  async drain(): Promise<void> {
    this.#draining = true
    this.#pump()
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight)
  }

  #refusal(events: number): DomainError | null {
    if (this.#draining) return this.#unavailable('This server is shutting down; nothing was recorded.')
    // One request is always let in: it is bounded by itself.
    const full =
      this.#waitingEvents > 0 && this.#waitingEvents + events > (this.#deps.waitingEventsMax ?? WAITING_EVENTS_MAX)
    if (!full && this.#waitingBytes < WAITING_BYTES_MAX) return null
    return new DomainError('RATE_LIMITED', `Region ${this.#region} has more events waiting than it can record now.`, {
      details: { retryAfterMs: RETRY_AFTER_MS },
    })
  }

  // After the events of this turn of the loop: what arrived in one read of the sockets becomes one batch.
  #schedulePump(): void {
    if (this.#pumpScheduled) return
    this.#pumpScheduled = true
    setImmediate(() => {
      this.#pumpScheduled = false
      this.#pump()
    })
  }

  // The next batch begins when the one before sends its COMMIT: it has then gathered all that came in the meantime, and
  // both the disk and the processor have something to do.
  #pump(): void {
    while (this.#inFlight.size < BATCHES_IN_FLIGHT_MAX && !this.#preparing) {
      const batch = this.#takeBatch()
      if (batch.length === 0) return
      this.#preparing = true
      const onPrepared = (): void => {
        clearTimeout(patience)
        if (prepared) return
        prepared = true
        this.#preparing = false
        this.#schedulePump()
      }
      let prepared = false
      const patience = setTimeout(onPrepared, PREPARATION_MS_MAX)
      const running: Promise<void> = this.#commit(batch, onPrepared).finally(() => {
        this.#inFlight.delete(running)
        onPrepared()
        this.#pump()
      })
      this.#inFlight.add(running)
    }
  }

  #takeBatch(): Waiting[] {
    const batch: Waiting[] = []
    let events = 0
    let bytes = 0
    let taken = 0
    for (const waiting of this.#queue) {
      events += waiting.drafts.length
      bytes += waiting.bytes
      if (batch.length > 0 && (events > BATCH_EVENTS_MAX || bytes > BATCH_BYTES_MAX)) break
      taken++
      if (!isTooLate(waiting.deadline)) batch.push(waiting)
      else waiting.fail(this.#unavailable(`Region ${this.#region} did not answer in time; nothing was recorded.`))
    }
    this.#queue.splice(0, taken)
    return batch
  }

  /** Answers every request of the batch; never rejects. `onPrepared` is told when nothing is left to do but to commit. */
  async #commit(batch: readonly Waiting[], onPrepared: () => void): Promise<void> {
    const startedMs = performance.now()
    const { route } = this.#deps
    const ticket = route === undefined ? null : route.home(this.#region)
    if (route !== undefined && ticket === null) return this.#queueInstead(route, batch, null)
    let committed: CommittedBatch
    try {
      committed = await this.#commitHome(batch, onPrepared, route, ticket)
    } catch (error) {
      if (error instanceof BelowFenceError) {
        const [overtaken, rest] = partition(batch, ({ known }) => known !== null && known.epoch < error.fence)
        for (const waiting of overtaken) waiting.fail(new OvertakenByErasureError(this.#region))
        if (rest.length > 0) await this.#commit(rest, onPrepared)
        return
      }
      if (route !== undefined && isForQueue(error)) return this.#queueInstead(route, batch, error)
      if (batch.length === 1 || this.#concernsAll(error)) return this.#failAll(batch, error)
      // Something the database refuses is in one of the requests: it must not take the others with it.
      const middle = batch.length >> 1
      await this.#commit(batch.slice(0, middle), onPrepared)
      await this.#commit(batch.slice(middle), onPrepared)
      return
    }
    for (const [index, waiting] of batch.entries()) waiting.settle(committed.outcomes[index]!)
    if (committed.witnessId !== null)
      this.#deps.onCommitted?.(this.#region, chainsOf(batch.flatMap((waiting) => waiting.drafts)), {
        events: batch.reduce((sum, { drafts }) => sum + drafts.length, 0),
        recorded: committed.recorded,
        ms: performance.now() - startedMs,
      })
  }

  #failAll(batch: readonly Waiting[], error: unknown): void {
    const answer = this.#answerFor(error)
    for (const waiting of batch) waiting.fail(answer)
  }

  /** What could not be committed at home is queued, under the same ids: should it have been, the queue changes nothing. */
  async #queueInstead(route: RecordingRoute, batch: readonly Waiting[], cause: unknown): Promise<void> {
    const requests = batch.map(({ drafts, known }) => ({ drafts, fence: known?.fence ?? null }))
    const mayBeRecorded = cause instanceof OutcomeUnknownError || cause instanceof RegionDownError
    try {
      const outcomes = await route.queue(this.#region, requests, deadlineOf(batch), cause)
      if (outcomes === null) await this.#commit(batch, () => undefined)
      else
        for (const [index, waiting] of batch.entries()) {
          const outcome = outcomes[index]!
          // Accepted anew it would be another event, and the first may be there.
          if (mayBeRecorded && 'refusal' in outcome && outcome.refusal instanceof OvertakenByErasureError)
            waiting.fail(this.#answerFor(new OutcomeUnknownError({ cause: outcome.refusal })))
          else waiting.settle(outcome)
        }
    } catch (error) {
      this.#failAll(
        batch,
        mayBeRecorded && error instanceof DomainError ? new OutcomeUnknownError({ cause: error }) : error,
      )
    }
  }

  async #commitHome(
    batch: readonly Waiting[],
    onPrepared: () => void,
    route: RecordingRoute | undefined,
    ticket: HomeTicket | null,
  ): Promise<CommittedBatch> {
    const record = (leave: Leave): Promise<CommittedBatch> =>
      this.#deps.registry.use(this.#region, ({ database }) => this.#record(database, batch, onPrepared, leave))
    if (route === undefined || ticket === null) return record({})
    const { signal, end } = route.watch(this.#region)
    try {
      return await orAborted(signal, record({ signal, homeLeftMs: () => route.leftMs(ticket) }))
    } finally {
      end()
    }
  }

  async #record(
    database: Database,
    batch: readonly Waiting[],
    onPrepared: () => void,
    leave: Leave,
  ): Promise<CommittedBatch> {
    const deadline = deadlineOf(batch)
    const drafts = batch.map((waiting) => waiting.drafts)
    const { subjectKeys } = this.#deps
    const region = this.#region
    for (let attempt = 1; ; attempt++) {
      const epoch = subjectKeys.epoch(region)
      const requests = await within(timeFor(deadline), this.#seal(database, drafts))
      const keyIds = () => requests.flatMap((sealed) => sealed.flatMap(keysOf))
      try {
        return await new BatchTransaction(database, requests, {
          ...leave,
          deadline,
          holdKeys: async (tx) =>
            refuseBelowFence(tx, batch, await holdSubjectKeys(tx, { subjectKeys, region, epoch, keyIds })),
          onPrepared,
        }).run()
      } catch (error) {
        // The person was erased since: what is recorded of it now is sealed with a key of its own.
        if (!(error instanceof SubjectKeysDestroyedError) || attempt === SEALINGS_MAX) throw error
      }
    }
  }

  async #seal(database: Database, requests: readonly (readonly EventDraft[])[]): Promise<SealedDraft[][]> {
    const subjects = requests.flatMap((drafts) => drafts.map((draft) => draft.subject))
    const keys = await this.#deps.subjectKeys.ensure(database, this.#region, this.#deps.tagKey, subjects)
    let next = 0
    return requests.map((drafts) => drafts.map((draft) => sealDraft(draft, keys[next++]!)))
  }

  #concernsAll(error: unknown): boolean {
    return error instanceof DomainError || isForQueue(error)
  }

  #answerFor(error: unknown): unknown {
    if (error instanceof OutcomeUnknownError)
      return this.#unavailable(
        `Region ${this.#region} was lost while it committed: the events may have been recorded. Repeating the request with the same idempotency keys is safe.`,
        error,
      )
    if (isForQueue(error))
      return this.#unavailable(`Region ${this.#region} can't record now; nothing was recorded.`, error)
    return error
  }

  #unavailable(message: string, cause?: unknown): DomainError {
    return new DomainError('REGION_UNAVAILABLE', message, {
      details: { regions: [this.#region] },
      ...(cause === undefined ? {} : { cause }),
    })
  }
}

/** Some of a batch were accepted below the fence. */
class BelowFenceError extends Error {
  override readonly name = 'BelowFenceError'
  readonly fence: number
  constructor(fence: number) {
    super('events were accepted before the fence of their region was raised')
    this.fence = fence
  }
}

/** Throws {@link BelowFenceError}. Costs a statement only where the epoch has changed since something was accepted. */
async function refuseBelowFence(tx: Transaction, batch: readonly Waiting[], current: number): Promise<void> {
  const oldest = batch.reduce((least, { known }) => Math.min(least, known?.epoch ?? current), current)
  if (oldest === current) return
  const fence = await readFence(tx)
  if (oldest < fence) throw new BelowFenceError(fence)
}

function partition<T>(all: readonly T[], isIn: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isIn), all.filter((one) => !isIn(one))]
}

/** Under what a batch is committed at home. */
type Leave = Pick<BatchOptions, 'signal' | 'homeLeftMs'>

/** The region, or what is believed of it, is the trouble. */
const isForQueue = (error: unknown): boolean =>
  error instanceof OutcomeUnknownError ||
  error instanceof NotHomeError ||
  error instanceof RegionDownError ||
  isOutage(error)

const deadlineOf = (batch: readonly Waiting[]): Deadline => batch.map(({ deadline }) => deadline).reduce(earlier)

/** What `work` comes to, or why it was aborted: it may be waiting for a COMMIT that nothing answers. */
async function orAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let onAbort = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  work.catch(() => undefined)
  try {
    return await Promise.race([work, aborted])
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** The ids of the keys that sealed a draft. */
const keysOf = ({ identityBlob, contentBlob }: SealedDraft): string[] =>
  [identityBlob, contentBlob].flatMap((blob) => (blob === null ? [] : [blobKeyId(blob)]))

/** The chains of the drafts, each once. */
const chainsOf = (drafts: readonly EventDraft[]): { workspaceId: string; companyId: string }[] => [
  ...new Map(drafts.map(({ workspaceId, companyId }) => [workspaceId, { workspaceId, companyId }])).values(),
]

const earlier = (a: Deadline, b: Deadline): Deadline => (b.remainingMs() < a.remainingMs() ? b : a)
