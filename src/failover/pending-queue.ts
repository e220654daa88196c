import type { KeyObject } from 'node:crypto'
import { DatabaseError } from '../db/database-error.js'
import type { Database } from '../db/database.js'
import { conflictOf, type Outcome } from '../events/commit-batch.js'
import { decideRepeats, type Step } from '../events/decide-repeats.js'
import { type EventDraft, type SealedDraft, sealDraft } from '../events/event-draft.js'
import { OvertakenByErasureError } from '../events/erasure-fence.js'
import { OutcomeUnknownError } from '../events/batch-transaction.js'
import type { Receipt } from '../events/receipt.js'
import type { QueuedRequest } from '../events/recording-route.js'
import type { Clock } from '../kernel/clock.js'
import type { Deadline } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { RegionMode } from '../regions/region-mode.js'
import { holdMode } from '../regions/region-mode.store.js'
import type { RegionModes } from '../regions/region-modes.js'
import { type KeyVault, PendingKeyDestroyedError } from '../sealing/key-vault.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import { newSealingKey, type PendingWrite, wrapPending } from './pending-write.js'
import { countPending, findQueuedKeys, insertPending } from './pending-write.store.js'

const TRANSACTION_TIMEOUT_MS = 3_000
/** An answer travels too. */
const RESERVE_MS = 100
/** Another process queues the same idempotency key, or the connection was lost. */
const ATTEMPTS_MAX = 4
const COUNT_EVERY_MS = 5_000
const RETRY_AFTER_MS = 30_000

/** How many events may wait: for a region, and of one company for a region. */
export interface QueueLimits {
  readonly regionEventsMax: number
  readonly companyEventsMax: number
}
export const QUEUE_LIMITS: QueueLimits = { regionEventsMax: 2_000_000, companyEventsMax: 500_000 }

export interface PendingQueueDeps {
  readonly control: Database
  readonly modes: RegionModes
  readonly vault: KeyVault
  readonly clock: Clock
  readonly limits?: QueueLimits
  readonly onQueued?: (region: Region, events: number) => void
}

/** A request as it is queued. */
interface SealedRequest {
  readonly writes: readonly PendingWrite[]
  readonly fence: QueuedRequest['fence']
}

const timeFor = (deadline: Deadline): number =>
  Math.min(TRANSACTION_TIMEOUT_MS, Math.max(1, deadline.remainingMs() - RESERVE_MS))

const isOvertaken = (outcome: Outcome): boolean =>
  'refusal' in outcome && outcome.refusal instanceof OvertakenByErasureError

interface Count {
  readonly countedMs: number
  events: number
}

/**
 * Takes events whose region can't, into the control database. A queued event is sealed with fresh keys, which are kept
 * beside it under the region's pending key; the body is the one it will have for ever.
 */
export class PendingQueue {
  readonly #deps: PendingQueueDeps
  readonly #limits: QueueLimits
  readonly #counts = new Map<string, Count>()

  constructor(deps: PendingQueueDeps) {
    this.#deps = deps
    this.#limits = deps.limits ?? QUEUE_LIMITS
  }

  /**
   * Queues requests of a region, in one transaction; null where the region's mode is not the one given any more, and
   * nothing was kept. Throws `RATE_LIMITED`, and DatabaseError where the control database does not answer:
   * `commitUnknown` where it may have kept them.
   */
  async insert(
    mode: RegionMode,
    requests: readonly QueuedRequest[],
    deadline: Deadline,
  ): Promise<readonly Outcome[] | null> {
    const { region, pendingKey } = mode
    if (pendingKey === null) return null
    await this.#admit(
      region,
      requests.flatMap(({ drafts }) => drafts),
    )
    const key = await this.#keyOf(region, pendingKey, deadline)
    if (key === null) return null
    const sealed = sealAll(requests, { id: pendingKey, key }, this.#deps.clock.now().getTime())
    let isUnknown = false
    for (let attempt = 1; ; attempt++) {
      try {
        const outcomes = await this.#insertOnce(mode, sealed, deadline)
        // Refused now, and perhaps kept before: to be accepted anew would double it.
        if (isUnknown && outcomes?.some(isOvertaken)) throw new OutcomeUnknownError({ cause: null })
        return outcomes
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error
        isUnknown ||= error.commitUnknown
        const isWorthRepeating =
          error.kind === 'unique_violation' || error.kind === 'unreachable' || error.commitUnknown
        if (attempt < ATTEMPTS_MAX && isWorthRepeating && deadline.remainingMs() > RESERVE_MS) continue
        throw isUnknown && !error.commitUnknown ? error.afterCommit() : error
      }
    }
  }

  /**
   * The key under which is queued now; null where it is another one by now. Somebody may just be destroying the one we know
   * of, and must not have done so in vain: it is made only while the mode that names it is held.
   */
  async #keyOf(region: Region, id: string, deadline: Deadline): Promise<KeyObject | null> {
    const { control, modes, vault } = this.#deps
    try {
      return await vault.pendingKey(region, id, false)
    } catch (error) {
      if (!(error instanceof PendingKeyDestroyedError || error instanceof SealBrokenError)) throw error
    }
    const { now, key } = await control.transaction({ timeoutMs: timeFor(deadline) }, async (tx) => {
      const held = await holdMode(tx, region)
      const isCurrent = held.mode === 'QUEUEING' && held.pendingKey === id
      return { now: held, key: isCurrent ? await vault.pendingKey(region, id, true) : null }
    })
    modes.learn(now)
    return key
  }

  async #insertOnce(
    mode: RegionMode,
    requests: readonly SealedRequest[],
    deadline: Deadline,
  ): Promise<readonly Outcome[] | null> {
    const { control, modes, onQueued } = this.#deps
    const { region } = mode
    const timeoutMs = timeFor(deadline)
    const drafts = requests.map(({ writes }) => writes.map(({ draft }) => draft))
    const writesOf = new Map(requests.flatMap(({ writes }) => writes).map((write) => [write.draft, write]))
    const { now, queued } = await control.transaction({ timeoutMs }, async (tx) => {
      const [held, known] = await Promise.all([holdMode(tx, region), findQueuedKeys(tx, drafts.flat())])
      if (held.mode !== 'QUEUEING' || held.pendingKey !== mode.pendingKey) return { now: held, queued: null }
      const isTaken = ({ fence }: SealedRequest): boolean => fence === null || fence >= held.fence
      const taken = drafts.filter((_, index) => isTaken(requests[index]!))
      const decisions = decideRepeats(taken, known)
      const fresh = decisions.flatMap((decision) =>
        'steps' in decision ? decision.steps.filter(({ repeats }) => repeats === null) : [],
      )
      if (fresh.length > 0)
        await insertPending(
          tx,
          fresh.map(({ draft }) => writesOf.get(draft)!),
        )
      return { now: held, queued: { taken: requests.map(isTaken), decisions, fresh: fresh.length } }
    })
    modes.learn(now)
    if (queued === null) return null
    onQueued?.(region, queued.fresh)
    const decided = queued.decisions.values()
    return queued.taken.map((isTaken): Outcome => {
      if (!isTaken) return { refusal: new OvertakenByErasureError(region) }
      const decision = decided.next().value!
      if ('steps' in decision) return { receipts: decision.steps.map(receiptOf) }
      return { refusal: conflictOf(decision.conflict) }
    })
  }

  /** RATE_LIMITED where too much waits. Counted now and then: a queue that is full is so for long. */
  async #admit(region: Region, drafts: readonly EventDraft[]): Promise<void> {
    const { regionEventsMax, companyEventsMax } = this.#limits
    await this.#count(region, null, drafts.length, regionEventsMax)
    for (const [companyId, own] of Map.groupBy(drafts, (draft) => draft.companyId))
      await this.#count(region, companyId, own.length, companyEventsMax)
  }

  async #count(region: Region, companyId: string | null, events: number, limit: number): Promise<void> {
    const name = `${region}/${companyId}`
    let count = this.#counts.get(name)
    if (count === undefined || performance.now() - count.countedMs > COUNT_EVERY_MS) {
      count = {
        countedMs: performance.now(),
        events: await countPending(this.#deps.control, region, companyId, limit + 1),
      }
      this.#counts.set(name, count)
    }
    if (count.events + events > limit)
      throw new DomainError(
        'RATE_LIMITED',
        `Region ${region} is down and has as many events waiting as are kept for it.`,
        {
          details: { retryAfterMs: RETRY_AFTER_MS },
        },
      )
    count.events += events
  }
}

/** A key that was queued before with the same id is this very request's: its first try was committed unheard. */
function receiptOf({ draft, repeats }: Step): Receipt {
  const first = repeats === null ? draft.id : 'known' in repeats ? repeats.known.eventId : repeats.draft.id
  const { region } = draft
  return { eventId: first, region, status: 'QUEUED', replayed: first !== draft.id, sequence: null, hash: null }
}

/**
 * Seals with keys that are used for this one batch, one pair per subject: whoever is erased later has no key left in
 * anybody's memory with which something could still be sealed.
 */
function sealAll(
  requests: readonly QueuedRequest[],
  pending: { readonly id: string; readonly key: KeyObject },
  nowMs: number,
): SealedRequest[] {
  const pairs = new Map<string, ReturnType<typeof makePair>>()
  const makePair = (draft: EventDraft) => {
    const identity = newSealingKey(nowMs)
    const content = newSealingKey(nowMs)
    return {
      keys: { identity, content },
      identityKey: wrapPending(pending.key, draft, 'identity', identity),
      contentKey: wrapPending(pending.key, draft, 'content', content),
    }
  }
  const pairOf = (draft: EventDraft) => {
    const { companyId, workspaceId, actorId, actorEmail } = draft.subject
    const name = JSON.stringify([companyId, actorId, actorEmail, actorId ?? actorEmail ?? workspaceId])
    let pair = pairs.get(name)
    if (pair === undefined) pairs.set(name, (pair = makePair(draft)))
    return pair
  }
  return requests.map(({ drafts, fence }) => ({
    fence,
    writes: drafts.map((draft) => {
      const { keys, identityKey, contentKey } = pairOf(draft)
      const sealed: SealedDraft = sealDraft(draft, keys)
      return {
        draft: sealed,
        pendingKey: pending.id,
        identityKey: sealed.identityBlob === null ? null : identityKey,
        contentKey: sealed.contentBlob === null ? null : contentKey,
      }
    }),
  }))
}
