import type { Transaction } from '../db/database.js'
import { DomainError } from '../kernel/domain-error.js'
import {
  type ChainExtension,
  type ChainHead,
  findIdempotencyKeys,
  type KnownKey,
  type LinkedEvent,
  lockHeads,
  writeExtension,
} from './committer.store.js'
import { decideRepeats, type Decision, type Step } from './decide-repeats.js'
import type { SealedDraft } from './event-draft.js'
import { extendChains } from './extend-chains.js'
import type { IdempotencyMark } from './idempotency.js'
import type { Receipt } from './receipt.js'

/** What one request of a batch gets, once the batch is committed. */
export type Outcome = { readonly receipts: readonly Receipt[] } | { readonly refusal: DomainError }

/** What a transaction will have done if it commits. */
export interface CommittedBatch {
  readonly outcomes: readonly Outcome[]
  /** An event that exists if, and only if, the transaction committed; null where it wrote nothing. */
  readonly witnessId: string | null
  /** How many events it wrote. */
  readonly recorded: number
  /** Settles with the write, which the transaction's end does not await by itself. */
  readonly written: Promise<unknown>
}

/** Thrown where a chain has no head yet: make the heads, then repeat the batch. */
export class HeadsMissingError extends Error {
  override readonly name = 'HeadsMissingError'
}

function receiptOf({ draft, repeats }: Step, linked: ReadonlyMap<string, LinkedEvent>): Receipt {
  const { region } = draft
  if (repeats !== null && 'known' in repeats) {
    const { eventId, sequence, hash } = repeats.known
    return { eventId, region, status: 'RECORDED', replayed: true, sequence, hash }
  }
  const event = linked.get(repeats === null ? draft.id : repeats.draft.id)
  if (event === undefined) throw new Error('a decided draft was not linked')
  const { sequence, hash } = event
  return { eventId: event.draft.id, region, status: 'RECORDED', replayed: repeats !== null, sequence, hash }
}

/** What the request is answered that uses a key for other content. */
export function conflictOf({ field }: IdempotencyMark): DomainError {
  const message = 'this idempotency key was used before for other content.'
  return new DomainError('IDEMPOTENCY_CONFLICT', `${field}: ${message}`, {
    details: { field, faults: [{ field, message }] },
  })
}

function outcomeOf(decision: Decision, linked: ReadonlyMap<string, LinkedEvent>): Outcome {
  if ('steps' in decision) return { receipts: decision.steps.map((step) => receiptOf(step, linked)) }
  return { refusal: conflictOf(decision.conflict) }
}

/** What becomes of requests, and what has to be written for it. */
export interface LinkedRequests {
  readonly outcomes: readonly Outcome[]
  readonly fresh: readonly SealedDraft[]
  readonly extension: ChainExtension
}

/** Tells repeats from new events and links the new ones to the heads, which the caller holds. Pure. */
export function linkRequests(
  heads: readonly ChainHead[],
  requests: readonly (readonly SealedDraft[])[],
  known: readonly KnownKey[],
): LinkedRequests {
  const decisions = decideRepeats(requests, known)
  const fresh = decisions.flatMap((decision) =>
    'steps' in decision ? decision.steps.filter((step) => step.repeats === null).map((step) => step.draft) : [],
  )
  const extension = extendChains(heads, fresh)
  const linked = new Map(extension.events.map((event) => [event.draft.id, event]))
  return { outcomes: decisions.map((decision) => outcomeOf(decision, linked)), fresh, extension }
}

/**
 * Extends the chains by the requests' drafts inside the caller's transaction: locks the heads, tells repeats from new
 * events, links, and writes. A request refused for a conflict leaves no trace and does not touch the others. The write
 * is under way when this answers: it travels with the caller's COMMIT, whose success is its own. Nothing is to be
 * answered to anybody before that.
 */
export async function commitBatch(
  tx: Transaction,
  requests: readonly (readonly SealedDraft[])[],
): Promise<CommittedBatch> {
  const drafts = requests.flat()
  const workspaceIds = [...new Set(drafts.map((draft) => draft.workspaceId))]
  const locked = lockHeads(tx, workspaceIds)
  // Sent together with the lock, run after it.
  const known = drafts.some((draft) => draft.idempotency !== null)
    ? findIdempotencyKeys(tx, drafts)
    : Promise.resolve([])
  const [heads, knownKeys] = await Promise.all([locked, known])
  if (heads.length < workspaceIds.length) throw new HeadsMissingError()
  const { outcomes, fresh, extension } = linkRequests(heads, requests, knownKeys)
  const written = fresh.length > 0 ? writeExtension(tx, extension) : Promise.resolve()
  // Where it fails, so does the transaction, and nobody is left to hear it from here.
  written.catch(() => undefined)
  return { outcomes, witnessId: fresh[0]?.id ?? null, recorded: fresh.length, written }
}
