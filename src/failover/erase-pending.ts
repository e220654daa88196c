import type { Database, Transaction } from '../db/database.js'
import { newUuid } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { Disclosure } from '../ledger/index.js'
import { type KeyVault, PendingKeyDestroyedError } from '../sealing/key-vault.js'
import { open } from '../sealing/sealed-blob.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import { deleteDeadLetters, findLetterKeys, readLettersOf } from './dead-letter.store.js'
import { keysOf, type PendingWriteRow, wrapPending } from './pending-write.js'
import {
  findIdleKeys,
  forgetKey,
  insertPendingKey,
  readLettersUnder,
  type RewrappedLetter,
  rewrapLetters,
} from './pending-write.store.js'

const TIMEOUT_MS = 60_000

/** Whom dead letters are searched for: by tags, and by what their content says. */
export interface PendingSubject {
  readonly companyId: string
  readonly tags: {
    readonly actorIds: readonly Buffer[]
    readonly actorEmails: readonly Buffer[]
    readonly targetIds: readonly Buffer[]
  }
  readonly mentions: (disclosure: Disclosure) => boolean
}

export interface ErasePendingDeps {
  readonly control: Database
  readonly vault: KeyVault
}

/**
 * Erases a subject from what is kept of a region's queue: dead letters of a company that are of it, or mention it, are
 * deleted, and every pending key that dead letters are under is destroyed, and what is left under them wrapped anew. Also
 * where no letter was the subject's: a key that somebody else's letter holds opens what the log of the control database
 * keeps of events that were brought home long since. To be called while nothing waits for the region. Answers how many
 * letters were deleted. It may be cut short anywhere and repeated.
 */
export async function eraseDeadLetters(
  { control, vault }: ErasePendingDeps,
  region: Region,
  subject: PendingSubject,
): Promise<number> {
  const erased = await control.transaction({ timeoutMs: TIMEOUT_MS }, async (tx) => {
    const doomed: PendingWriteRow[] = []
    for (const row of await readLettersOf(tx, subject.companyId, region))
      if (await concerns(vault, row, subject)) doomed.push(row)
    await deleteDeadLetters(
      tx,
      doomed.map(({ id }) => id),
    )
    for (const key of await findLetterKeys(tx, region)) await replaceKey(tx, vault, region, key)
    return doomed.length
  })
  await destroyIdleKeys({ control, vault }, region)
  return erased
}

/** Destroys the pending keys of a region that nothing is kept under, nor will be. */
export async function destroyIdleKeys({ control, vault }: ErasePendingDeps, region: Region): Promise<void> {
  for (const { id } of await findIdleKeys(control, region)) {
    await vault.destroyPendingKey(region, id)
    await forgetKey(control, region, id)
  }
}

async function concerns(vault: KeyVault, row: PendingWriteRow, { tags, mentions }: PendingSubject): Promise<boolean> {
  const has = (among: readonly Buffer[], tag: Buffer | null): boolean =>
    tag !== null && among.some((one) => one.equals(tag))
  if (
    has(tags.actorIds, row.actor_id_tag) ||
    has(tags.actorEmails, row.actor_email_tag) ||
    has(tags.targetIds, row.target_id_tag)
  )
    return true
  if (row.identity_key === null && row.content_key === null) return false
  const keys = await openKeys(vault, row)
  return keys.some(({ key, blob }) => {
    const sealed = blob === 'identity' ? row.identity_blob : row.content_blob
    const context = { workspaceId: row.workspace_id, eventId: row.id, blob }
    return sealed !== null && open(key.key, context, sealed).some(mentions)
  })
}

/** None where nobody can open it any more: then it says nothing of anybody. */
async function openKeys(vault: KeyVault, row: PendingWriteRow): Promise<ReturnType<typeof keysOf>> {
  try {
    return keysOf(row, await vault.pendingKey(row.region, row.pending_key, false))
  } catch (error) {
    if (error instanceof PendingKeyDestroyedError || error instanceof SealBrokenError) return []
    throw error
  }
}

/** Wraps what is left under a pending key by a fresh one. */
async function replaceKey(tx: Transaction, vault: KeyVault, region: Region, old: string): Promise<void> {
  const rows = await readLettersUnder(tx, old)
  const id = newUuid()
  await insertPendingKey(tx, region, id)
  const to = await vault.pendingKey(region, id, true)
  const letters: RewrappedLetter[] = []
  for (const row of rows) {
    const place = { region, companyId: row.company_id }
    const keys = await openKeys(vault, row)
    const wrapped = new Map(keys.map(({ key, blob }) => [blob, wrapPending(to, place, blob, key)]))
    // What does not open any more goes on not opening: its wrapped keys stay as they are.
    letters.push({
      id: row.id,
      identityKey: wrapped.get('identity') ?? row.identity_key,
      contentKey: wrapped.get('content') ?? row.content_key,
    })
  }
  await rewrapLetters(tx, id, letters)
}
