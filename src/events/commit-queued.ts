import type { Transaction } from '../db/database.js'
import { type CommittedBatch, HeadsMissingError, linkRequests, type Outcome } from './commit-batch.js'
import { findIdempotencyKeys, findStoredIds, insertAliases, lockHeads, writeExtension } from './committer.store.js'
import type { SealedDraft } from './event-draft.js'

/**
 * As `commitBatch`, for events that were accepted before and waited elsewhere; each decided by itself. An id that is
 * stored already is left as it is, which makes a repeat harmless. Where the event's idempotency key stands for another
 * event of the same content, the id becomes an alias of that. `storeKeys` stores the keys that sealed the new ones, in
 * the same transaction.
 */
export async function commitQueued(
  tx: Transaction,
  drafts: readonly SealedDraft[],
  storeKeys: (fresh: readonly SealedDraft[]) => Promise<void>,
): Promise<CommittedBatch> {
  const workspaceIds = [...new Set(drafts.map((draft) => draft.workspaceId))]
  const [heads, storedIds, knownKeys] = await Promise.all([
    lockHeads(tx, workspaceIds),
    findStoredIds(
      tx,
      drafts.map(({ id }) => id),
    ),
    findIdempotencyKeys(tx, drafts),
  ])
  if (heads.length < workspaceIds.length) throw new HeadsMissingError()
  const stored = new Map(storedIds.map((one) => [one.id, one]))
  const missing = drafts.filter(({ id }) => !stored.has(id))
  const { outcomes, fresh, extension } = linkRequests(
    heads,
    missing.map((draft) => [draft]),
    knownKeys,
  )
  const decided = new Map(missing.map(({ id }, index) => [id, outcomes[index]!]))
  const aliases = missing.flatMap((draft) => {
    const outcome = decided.get(draft.id)!
    const eventId = 'receipts' in outcome ? outcome.receipts[0]!.eventId : draft.id
    return eventId === draft.id ? [] : [{ draft, eventId }]
  })
  await storeKeys(fresh)
  const written = fresh.length > 0 ? writeExtension(tx, extension) : Promise.resolve()
  written.catch(() => undefined)
  // Behind the events that they may stand for.
  await insertAliases(tx, aliases)
  return {
    outcomes: drafts.map((draft): Outcome => decided.get(draft.id) ?? storedOutcome(draft, stored.get(draft.id)!)),
    witnessId: (fresh[0] ?? aliases[0]?.draft)?.id ?? null,
    recorded: fresh.length,
    written,
  }
}

const storedOutcome = (
  { region }: SealedDraft,
  { eventId, sequence, hash }: { readonly eventId: string; readonly sequence: number; readonly hash: Buffer },
): Outcome => ({ receipts: [{ eventId, region, status: 'RECORDED', replayed: true, sequence, hash }] })
