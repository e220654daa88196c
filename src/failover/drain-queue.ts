import type { Database, Transaction } from '../db/database.js'
import { BatchTransaction, isOutage, OutcomeUnknownError } from '../events/batch-transaction.js'
import { commitQueued } from '../events/commit-queued.js'
import type { CommitFigures } from '../events/committer.js'
import type { SealedDraft } from '../events/event-draft.js'
import type { Clock } from '../kernel/clock.js'
import { deadlineAfter } from '../kernel/deadline.js'
import type { Region } from '../kernel/region.js'
import { readMode } from '../regions/region-mode.store.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { type KeyVault, PendingKeyDestroyedError } from '../sealing/key-vault.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import { type AdoptedKey, type SubjectKeys, throughTurns } from '../sealing/subject-keys.js'
import { type DeadLetterReason, draftOf, keysOf, type PendingWriteRow } from './pending-write.js'
import { claimDrain, deletePending, moveToDeadLetters, readFirst } from './pending-write.store.js'

const ROWS_PER_STEP_MAX = 500
const BYTES_PER_STEP_MAX = 8 * 1_048_576
/** From the claim to the deletion. A process that is stopped in between has its claim taken by the server after this. */
const STEP_TIMEOUT_MS = 20_000
/** A second of it is kept back to find out what became of a COMMIT that went unanswered. */
export const COMMIT_TIMEOUT_MS = 5_000
/** How often an event is tried before it is set aside. */
export const ATTEMPTS_MAX = 3

export interface DrainDeps {
  readonly control: Database
  readonly registry: Pick<RegionRegistry, 'use'>
  readonly vault: KeyVault
  readonly subjectKeys: SubjectKeys
  readonly clock: Clock
  readonly onCommitted: (
    region: Region,
    chains: readonly { workspaceId: string; companyId: string }[],
    batch: CommitFigures,
  ) => void
  readonly onDeadLetter: (region: Region, letter: { id: string; reason: DeadLetterReason; cause: unknown }) => void
  /** Told between the steps, so that a test can stop there. */
  readonly onStep?: (step: 'drain.claimed' | 'drain.committed' | 'drain.deleted') => void
}

/** Where queued events are brought. */
export interface Home {
  readonly region: Region
  readonly database: Database
  readonly commitTimeoutMs: number
}

/** What one step came to: `others` where another process is at it, or the region is failed over. */
export type DrainStep = { readonly drained: number; readonly deadLetters: number } | 'others'

/**
 * Brings the first events of a region's queue home, in their order, and only then forgets them: cut short anywhere it is
 * done again, and what is home already is left alone. Throws where the region or the control database does not answer.
 */
export async function drainSome(deps: DrainDeps, region: Region): Promise<DrainStep> {
  const step = await deps.control.transaction({ timeoutMs: STEP_TIMEOUT_MS }, (tx) =>
    drainIn(deps, tx, region, COMMIT_TIMEOUT_MS),
  )
  deps.onStep?.('drain.deleted')
  return step
}

/** {@link drainSome} in the caller's transaction of the control database. */
export async function drainIn(
  deps: DrainDeps,
  tx: Transaction,
  region: Region,
  commitTimeoutMs: number,
): Promise<DrainStep> {
  const { registry, onStep } = deps
  if (!(await claimDrain(tx, region))) return 'others'
  if ((await readMode(tx, region)).failedOverAt !== null) return 'others'
  const rows = await readFirst(tx, region, ROWS_PER_STEP_MAX, BYTES_PER_STEP_MAX)
  if (rows.length === 0) return { drained: 0, deadLetters: 0 }
  onStep?.('drain.claimed')
  const refused = await registry.use(region, ({ database }) =>
    commitRows(deps, { region, database, commitTimeoutMs }, rows),
  )
  onStep?.('drain.committed')
  await forget(deps, tx, rows, refused)
  return { drained: rows.length - refused.size, deadLetters: refused.size }
}

async function forget(
  { clock }: DrainDeps,
  tx: Transaction,
  rows: readonly PendingWriteRow[],
  refused: ReadonlyMap<string, DeadLetterReason>,
): Promise<void> {
  const letters = [...refused].map(([id, reason]) => ({ id, reason }))
  if (letters.length > 0) await moveToDeadLetters(tx, letters, ATTEMPTS_MAX, clock.now())
  const home = rows.filter(({ id }) => !refused.has(id)).map(({ id }) => id)
  if (home.length > 0) await deletePending(tx, home)
}

/**
 * Records queued events at home, with their ids; answers those that could not be, and why. Throws where the region does
 * not answer: all, some or none are recorded then, and it may be done again.
 */
export async function commitRows(
  deps: DrainDeps,
  home: Home,
  rows: readonly PendingWriteRow[],
): Promise<Map<string, DeadLetterReason>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await commitTogether(deps, home, rows)
    } catch (error) {
      if (isOutage(error) || error instanceof OutcomeUnknownError) throw error
      if (rows.length > 1) {
        // One of them is the trouble, and must not keep the others.
        const middle = rows.length >> 1
        const first = await commitRows(deps, home, rows.slice(0, middle))
        return new Map([...first, ...(await commitRows(deps, home, rows.slice(middle)))])
      }
      if (attempt < ATTEMPTS_MAX) continue
      const { id } = rows[0]!
      const reason = reasonOf(error)
      deps.onDeadLetter(home.region, { id, reason, cause: error })
      return new Map([[id, reason]])
    }
  }
}

function reasonOf(error: unknown): DeadLetterReason {
  if (error instanceof PendingKeyDestroyedError) return 'key_missing'
  return error instanceof SealBrokenError ? 'unreadable' : 'refused'
}

async function commitTogether(
  deps: DrainDeps,
  home: Home,
  rows: readonly PendingWriteRow[],
): Promise<Map<string, DeadLetterReason>> {
  const { region, database, commitTimeoutMs } = home
  const startedMs = performance.now()
  const drafts = rows.map(draftOf)
  const keys = await openKeys(deps, region, rows)
  const adopt = (tx: Transaction, fresh: readonly SealedDraft[]): Promise<void> => {
    const own = new Map(fresh.flatMap(({ id }) => keys.get(id)!).map((one) => [one.key.id, one]))
    return deps.subjectKeys.adopt(tx, region, [...own.values()])
  }
  const committed = await throughTurns(() =>
    new BatchTransaction(
      database,
      drafts.map((draft) => [draft]),
      {
        deadline: deadlineAfter(commitTimeoutMs),
        holdKeys: async (tx) => void (await tx.query('select hold_subject_keys()', [], 'hold_subject_keys_queued')),
        extend: (tx) => commitQueued(tx, drafts, (fresh) => adopt(tx, fresh)),
      },
    ).run(),
  )
  if (committed.recorded > 0)
    deps.onCommitted(region, chainsOf(drafts), {
      events: rows.length,
      recorded: committed.recorded,
      ms: performance.now() - startedMs,
    })
  const refused = new Map<string, DeadLetterReason>()
  for (const [index, { id }] of rows.entries()) {
    const outcome = committed.outcomes[index]!
    if ('receipts' in outcome) continue
    refused.set(id, 'idempotency_conflict')
    deps.onDeadLetter(region, { id, reason: 'idempotency_conflict', cause: null })
  }
  return refused
}

async function openKeys(
  { vault }: DrainDeps,
  region: Region,
  rows: readonly PendingWriteRow[],
): Promise<Map<string, AdoptedKey[]>> {
  const opened = new Map<string, AdoptedKey[]>()
  for (const row of rows) {
    const isSealed = row.identity_key !== null || row.content_key !== null
    opened.set(row.id, isSealed ? keysOf(row, await vault.pendingKey(region, row.pending_key, false)) : [])
  }
  return opened
}

const chainsOf = (drafts: readonly SealedDraft[]): { workspaceId: string; companyId: string }[] => [
  ...new Map(drafts.map(({ workspaceId, companyId }) => [workspaceId, { workspaceId, companyId }])).values(),
]
