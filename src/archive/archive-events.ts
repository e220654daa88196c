import { findCheckpoint } from '../checkpoints/checkpoint.store.js'
import { DatabaseError } from '../db/database-error.js'
import type { Transaction } from '../db/database.js'
import { retentionCutoff } from '../events/retention.js'
import { newUuid } from '../kernel/ids.js'
import { ObjectLockedError } from '../objects/object-errors.js'
import type { ObjectStore } from '../objects/object-store.js'
import { type ArchiveDeps, archiveLimits, type ArchivePlace } from './archive-deps.js'
import type { ArchiveLine } from './archive-line.js'
import { archiveKey, type ArchiveRun, eventCount, manifestKey, parquetKeyOf } from './archive-object.js'
import {
  claimObject,
  dropObject,
  findNextRun,
  forgetGarbage,
  isGarbage,
  type KeptWorkspace,
  listGarbage,
  listKeptWorkspaces,
  listMarkedWorkspaces,
  listStale,
  lockKey,
  moveEvents,
  noteArchived,
  noteVerified,
  readRowsToArchive,
} from './archive-run.store.js'
import { type ClearColumns, clearColumnsOf, writeParquet } from './write-parquet.js'
import { writeManifest, writeObject } from './write-object.js'

const TIMEOUT_MS = 60_000
const ROWS_PER_READ = 500
/** How often a run is written again that an erasure got in the way of. */
const ATTEMPTS_MAX = 5
const GARBAGE_PER_RUN_MAX = 10_000
/** Longer than a run may take. */
const STALE_AFTER_MS = 12 * 3_600_000

/** Another process took the run over, or its events changed while they were written. */
class Overtaken extends Error {
  override readonly name = 'Overtaken'
}

/**
 * Archives what is marked and past its retention in a region, chain after chain, a run at a time. It may be cut short
 * anywhere, by the death of the process too, and run by two processes at once: an event is either in the table or in
 * a verified object, never in both and never in none. Answers how many events left the table.
 */
export async function archiveRegion(
  deps: ArchiveDeps,
  place: ArchivePlace,
  signal: AbortSignal,
  progress: (events: number) => void,
): Promise<number> {
  const { region, database } = place
  await dropStale(deps, place)
  await sweepGarbage(deps, place)
  const marked = new Set((await listMarkedWorkspaces(database)).map(({ workspaceId }) => workspaceId))
  const workspaces = (await listKeptWorkspaces(deps.control, region)).filter(({ id }) => marked.has(id))
  let events = 0
  for (const workspace of workspaces) {
    for (let from = 1; ;) {
      signal.throwIfAborted()
      const run = await nextRun(deps, place, workspace, from)
      if (run === null) break
      // Beforehand: until it is moved it is past its retention anyway.
      if (from === 1)
        await noteArchived(deps.control, workspace.id, retentionCutoff(workspace.retentionDays, deps.clock.now()))
      if (await archiveRun(deps, place, run)) events += eventCount(run)
      progress(events)
      from = run.lastSequence + 1
    }
  }
  return events
}

const nextRun = (deps: ArchiveDeps, { database }: ArchivePlace, workspace: KeptWorkspace, from: number) => {
  const cutoff = retentionCutoff(workspace.retentionDays, deps.clock.now())
  const options = { companies: [workspace.companyId], readOnly: true, timeoutMs: TIMEOUT_MS }
  return database.transaction(options, (tx) => findNextRun(tx, workspace, cutoff, from, deps.limits ?? archiveLimits))
}

/** Archives one run. False where another process has it. */
async function archiveRun(deps: ArchiveDeps, place: ArchivePlace, run: ArchiveRun): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryRun(deps, place, run)
    } catch (error) {
      const isErased = error instanceof DatabaseError && error.kind === 'serialization'
      if (!(isErased || error instanceof Overtaken) || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

async function tryRun(deps: ArchiveDeps, place: ArchivePlace, run: ArchiveRun): Promise<boolean> {
  const { stores, clock, figures, onStep = () => undefined } = deps
  const { region, database } = place
  const store = await stores.of(region)
  const key = archiveKey(run)
  const transact = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
    database.transaction({ companies: [run.companyId], timeoutMs: TIMEOUT_MS }, work)
  const token = newUuid()
  const claim = { id: newUuid(clock.now().getTime()), key, token, now: clock.now() }
  const { before, id } = await transact(async (tx) => {
    await lockKey(tx, key)
    // Looked at before the claim: whoever claims after us finds other bytes than those it may replace, or we do.
    return { before: await store.head(key), id: await claimObject(tx, run, claim) }
  })
  if (id === null) return false
  onStep('run.claimed')
  const rows: ClearColumns[] = []
  const lines = linesToArchive(transact, run, deps.parquet ? rows : null)
  const written = await writeObject(store, key, lines, before, onStep)
  const checkpoint = await transact((tx) => findCheckpoint(tx, run.workspaceId))
  const covers = checkpoint !== null && checkpoint.treeSize >= run.lastSequence
  await writeManifest(store, { run, key, revision: 1, written, checkpoint: covers ? checkpoint.note : null })
  if (deps.parquet) await writeParquet(store, run, rows)
  onStep('manifest.written')
  const claimed = { id, token }
  if (!(await transact((tx) => noteVerified(tx, claimed, written, clock.now()))))
    throw new Overtaken('another process archives this run')
  onStep('run.verified')
  if (!(await transact((tx) => moveEvents(tx, claimed, written.fingerprint))))
    throw new Overtaken('another process archives this run')
  onStep('run.moved')
  figures.add('written_objects', region)
  figures.add('archived_events', region, eventCount(run))
  return true
}

async function* linesToArchive(
  transact: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>,
  run: ArchiveRun,
  keep: ClearColumns[] | null,
): AsyncGenerator<ArchiveLine> {
  for (let after = run.firstSequence - 1; after < run.lastSequence;) {
    const { rows, tombstones } = await transact((tx) => readRowsToArchive(tx, run, after, ROWS_PER_READ))
    const left = Map.groupBy(tombstones, ({ sequence }) => sequence)
    for (const row of rows) {
      if (Number(row.sequence) !== ++after) throw new Overtaken('the run is not whole any more')
      keep?.push(clearColumnsOf(row))
      yield {
        sequence: after,
        term: row.term,
        body: row.body,
        prevHash: row.prev_hash,
        hash: row.hash,
        identityBlob: row.identity_blob,
        contentBlob: row.content_blob,
        tombstones: (left.get(row.sequence) ?? []).map((one) => ({
          digest: one.digest,
          erasure: Number(one.erasure_sequence),
        })),
      }
    }
    if (rows.length === 0) throw new Overtaken('the run is not whole any more')
  }
}

/**
 * Deletes what the bucket holds and nothing refers to: earlier versions of rewritten objects, runs that were given up.
 * Answers how many a retention lock of the bucket keeps; they are tried again at every turn. So are runs that were given
 * up, as long as a process may still be at them: what it writes when they were given up goes at the next turn.
 */
export async function sweepGarbage(deps: ArchiveDeps, { region, database }: ArchivePlace): Promise<number> {
  const garbage = await listGarbage(database, GARBAGE_PER_RUN_MAX)
  if (garbage.length === 0) return 0
  let locked = 0
  const store: ObjectStore = await deps.stores.of(region)
  const stale = staleBefore(deps)
  for (const { key, companyId, isRewritten, notedAt } of garbage) {
    // Clear columns don't change by an erasure.
    const keys = [key, manifestKey(key), ...(isRewritten ? [] : [parquetKeyOf(key)])]
    const isDeleted = await database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, async (tx) => {
      await lockKey(tx, key)
      // Claimed anew since it was listed: what is there now is not ours to delete.
      if (!(await isGarbage(tx, key))) return true
      if (!(await deleteAll(store, keys))) return false
      deps.onStep?.('garbage.deleted')
      if (isRewritten || new Date(notedAt) < stale) await forgetGarbage(tx, key)
      return true
    })
    if (isDeleted) continue
    locked++
    deps.log.warn({ region, key }, 'a lock of the bucket keeps an object that is to be deleted; it is tried again')
  }
  return locked
}

/** The night after, no process is at a run any more. */
const staleBefore = ({ clock }: ArchiveDeps): Date => new Date(clock.now().getTime() - STALE_AFTER_MS)

/** False where a lock of the bucket forbids it. */
async function deleteAll(store: ObjectStore, keys: readonly string[]): Promise<boolean> {
  try {
    for (const key of keys) await store.delete(key)
    return true
  } catch (error) {
    if (error instanceof ObjectLockedError) return false
    throw error
  }
}

/** Gives up what a process left that died. */
async function dropStale(deps: ArchiveDeps, { database }: ArchivePlace): Promise<void> {
  const now = deps.clock.now()
  for (const { id, companyId } of await listStale(database, staleBefore(deps)))
    await database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, (tx) => dropObject(tx, id, now))
}

/** Gives up runs of these chains that no process has finished, and deletes what there is of them. */
export async function dropUnfinished(
  deps: ArchiveDeps,
  place: ArchivePlace,
  companyId: string,
  objectIds: readonly string[],
): Promise<void> {
  for (const id of objectIds)
    await place.database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, (tx) =>
      dropObject(tx, id, deps.clock.now()),
    )
  if (objectIds.length > 0) await sweepGarbage(deps, place)
}
