import { sweepGarbage, dropUnfinished } from '../archive/archive-events.js'
import type { ArchiveLine } from '../archive/archive-line.js'
import { type ArchiveObject, isReadable } from '../archive/archive-object.js'
import { listObjects } from '../archive/archive-object.store.js'
import { listUnfinished } from '../archive/archive-run.store.js'
import { restoreObject } from '../archive/request-restore.js'
import { sendBack, writeRevision } from '../archive/rewrite-object.js'
import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import {
  deferErasure,
  eraseArchived,
  type ArchivedRow,
  noteObject,
  readErasedObjects,
  readPlaces,
} from './archive-erasure.store.js'
import {
  appendErasure,
  ATTEMPTS_MAX,
  type EraseWorkspaceDeps,
  type ErasureSubject,
  isOvertaken,
  sealSurvivors,
} from './erase-workspace.js'
import type { ErasureDeps } from './erasure-deps.js'
import { type ErasureItem, markFound } from './erasure-item.js'
import { storeEvidence } from './erasure-work.store.js'
import { WAITING_OBJECTS } from './gdpr-request.js'
import { planArchived } from './plan-archived.js'

const TIMEOUT_MS = 60_000
/** How long a restored copy stays: longer than any bucket takes, and than an outage of ours. */
const RESTORE_DAYS = 14

type Deps = ErasureDeps & EraseWorkspaceDeps

interface Place {
  readonly region: Region
  readonly database: Database
}

/**
 * Carries out a request in the archive objects of these chains. Objects that can be read are looked through, and
 * rewritten where somebody else's event mentions the subject or something stays of an anonymised one. Of cold ones the
 * subject's tags are cleared at once and a restore is asked for; they are counted in `waitingObjects`, and looked
 * through by the run that finds them restored. It may be cut short anywhere and repeated.
 */
export async function eraseArchives(
  deps: Deps,
  place: Place,
  item: ErasureItem,
  workspaceIds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { region, database } = place
  const { requestId, companyId } = item.subject
  const transact = { companies: [companyId], timeoutMs: TIMEOUT_MS }
  // What is being written was perhaps read before the erasure.
  const unfinished = await database.transaction(transact, (tx) => listUnfinished(tx, workspaceIds))
  await dropUnfinished(
    deps.archive,
    place,
    companyId,
    unfinished.map(({ id }) => id),
  )
  const done = await readErasedObjects(deps.control, requestId)
  let waiting = 0
  let seen = 0
  for (const workspaceId of workspaceIds) {
    const objects = await database.transaction(transact, (tx) =>
      listObjects(tx, region, workspaceId, { from: null, to: null }),
    )
    seen += objects.length
    for (const object of objects) {
      if (done.has(object.id)) continue
      signal.throwIfAborted()
      const outcome = await eraseObject(deps, place, item.subject, object)
      if (outcome.isDirty) markFound(item)
      if (outcome.isWaiting) waiting++
      const doneAt = outcome.isWaiting ? null : deps.clock.now()
      await noteObject(deps.control, requestId, { id: object.id, region, doneAt })
      deps.onStep?.('archive.noted')
    }
  }
  const locked = await sweepGarbage(deps.archive, place)
  item.waitingObjects.set(region, waiting)
  if (seen > 0) await noteEvidence(deps, region, requestId, { looked: seen - waiting, waiting, locked })
}

async function noteEvidence(
  deps: Deps,
  region: Region,
  requestId: string,
  { looked, waiting, locked }: { readonly looked: number; readonly waiting: number; readonly locked: number },
): Promise<void> {
  const completedAt = deps.clock.now()
  const note = (store: string, records: number): Promise<void> =>
    storeEvidence(deps.control, requestId, { region, store, records, completedAt }, 'set')
  await note('archive objects looked through', looked)
  await note(WAITING_OBJECTS, waiting)
  await note('former archive bytes that a retention lock of the bucket keeps', locked)
}

interface Outcome {
  /** Something was erased, or begun to be. */
  readonly isDirty: boolean
  readonly isWaiting: boolean
}

async function eraseObject(deps: Deps, place: Place, subject: ErasureSubject, object: ArchiveObject): Promise<Outcome> {
  for (let failures = 0; ;) {
    const found = await deps.archive.reader.fresh(object)
    if (found === 'DAMAGED') return { isDirty: false, isWaiting: true }
    if (found === 'COLD') {
      const isDirty = await deferObject(deps, place, subject, object)
      const now = await restoreObject(deps.archive, object, RESTORE_DAYS, 'STANDARD')
      deps.onStep?.('archive.restore_requested')
      if (now !== null && isReadable(now)) continue
      return { isDirty, isWaiting: true }
    }
    try {
      return { isDirty: await eraseLines(deps, place, subject, object, found), isWaiting: false }
    } catch (error) {
      if (!isOvertaken(error) || ++failures === ATTEMPTS_MAX) throw error
      // Rewritten by another request: there is a new object to look at.
      const options = { companies: [subject.companyId], timeoutMs: TIMEOUT_MS }
      const objects = await place.database.transaction(options, (tx) =>
        listObjects(tx, place.region, object.workspaceId, { from: object.day, to: object.day }),
      )
      object = objects.find(({ id }) => id === object.id) ?? object
    }
  }
}

/** Takes the subject's tags from an object that can't be read. True where there were any. */
async function deferObject(
  deps: Deps,
  { database }: Place,
  subject: ErasureSubject,
  object: ArchiveObject,
): Promise<boolean> {
  const { requestId, companyId, mode, tags, pseudonym } = subject
  return database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, async (tx) => {
    const places = await readPlaces(tx, object.id, requestId, tags)
    const concerned = places.filter((one) => !one.isDeferred && (one.isOwn || one.isTarget))
    if (concerned.length === 0) return false
    const rows = concerned.map(({ sequence, isOwn, isTarget }) => {
      const isAll = isOwn && mode === 'DELETE'
      return { sequence, actor: isOwn, target: isAll || isTarget, trace: isAll }
    })
    await deferErasure(tx, object.id, { requestId, at: deps.clock.now(), pseudonym }, rows)
    return true
  })
}

async function eraseLines(
  deps: Deps,
  place: Place,
  subject: ErasureSubject,
  object: ArchiveObject,
  lines: ReadonlyMap<number, ArchiveLine>,
): Promise<boolean> {
  const { region, database } = place
  const { workspaceId } = object
  const { companyId, requestId, pseudonym } = subject
  const epoch = deps.subjectKeys.epoch(region)
  const planned = await planArchived(deps, place, subject, object, lines)
  if (planned.length === 0) {
    // The end of what was deferred, which turned out to be nothing.
    await database.transaction({ companies: [companyId], timeoutMs: TIMEOUT_MS }, (tx) =>
      eraseArchived(tx, object, { sequence: null, requestId, at: deps.clock.now(), pseudonym: null }, [], null),
    )
    return false
  }
  const chain = { region, database, workspaceId }
  const sealed = await sealSurvivors(deps, chain, subject, planned)
  const rows: ArchivedRow[] = sealed.map((row, i) => ({ ...row, isOwn: planned[i]!.erasure.isOwn }))
  const isRewritten = rows.some((row) => !row.isOwn || row.content !== null)
  const fresh = isRewritten ? await writeRevision(deps.archive, place, object, rewritten(lines, rows)) : null
  deps.onStep?.('archive.rewritten')
  await appendErasure(deps, chain, subject, rows, epoch, (tx, { sequence, at }) =>
    eraseArchived(tx, object, { sequence, requestId, at, pseudonym }, rows, fresh),
  )
  deps.onStep?.('archive.erased')
  if (isRewritten) {
    await sweepGarbage(deps.archive, place)
    await sendBack(deps.archive, place, object)
  }
  return true
}

function* rewritten(lines: ReadonlyMap<number, ArchiveLine>, rows: readonly ArchivedRow[]): Generator<ArchiveLine> {
  const changed = new Map(rows.map((row) => [row.sequence, row]))
  for (const line of lines.values()) {
    const row = changed.get(line.sequence)
    yield row === undefined ? line : { ...line, identityBlob: row.identity, contentBlob: row.content }
  }
}
