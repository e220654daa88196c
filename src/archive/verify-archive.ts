import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { notFound } from '../kernel/domain-error.js'
import type { ArchiveDeps, ArchivePlace } from './archive-deps.js'
import { type ArchiveFault, type ArchiveObject, isReadable } from './archive-object.js'
import { findObjects, listToVerify, noteVerification } from './archive-object.store.js'
import { orUnavailable } from './or-unavailable.js'
import { readArchivedHashes } from './archive-run.store.js'
import { findArchiveObject } from './get-archive-object.js'
import { verifyBytes } from './verify-object.js'

const TIMEOUT_MS = 60_000
const OBJECTS_PER_READ = 100

/** What a verification came to. `NOT_READ`: the object is in cold storage; that it is there is all that was seen. */
export type ArchiveVerdict = 'OK' | 'OK_WITH_ERASURES' | 'NOT_READ' | ArchiveFault

/**
 * Verifies one object now. For owners and administrators of its company, and staff. Throws UNAUTHENTICATED, FORBIDDEN,
 * BAD_USER_INPUT, NOT_FOUND, REGION_UNAVAILABLE.
 */
export async function verifyArchive(
  deps: ArchiveDeps & { readonly facts: ControlFacts },
  viewer: Viewer,
  archiveObjectId: string,
): Promise<{ readonly object: ArchiveObject; readonly verdict: ArchiveVerdict }> {
  const object = await findArchiveObject(deps, viewer, 'verifyArchive', archiveObjectId, 'archiveObjectId')
  if (object === null) throw notFound('Archive object')
  const { region, companyId, id } = object
  return deps.registry.use(region, async ({ database }) => {
    const verdict = await orUnavailable(region, () =>
      verifyObject(deps, { region, database }, object, new AbortController().signal),
    )
    const options = { companies: [companyId], readOnly: true, timeoutMs: TIMEOUT_MS }
    const [now] = await database.transaction(options, (tx) => findObjects(tx, region, [id]))
    return { object: now ?? object, verdict }
  })
}

/**
 * Verifies all objects of a region that were not looked at since `checkedBefore`, those first of which that is longest
 * ago. Answers how many; throws an AggregateError once all had their turn where some are not what was written.
 */
export async function verifyRegion(
  deps: ArchiveDeps,
  place: ArchivePlace,
  checkedBefore: Date,
  signal: AbortSignal,
  progress: (objects: number) => void,
): Promise<number> {
  let checked = 0
  let faulty = 0
  for (;;) {
    const objects = await listToVerify(place.database, place.region, checkedBefore, OBJECTS_PER_READ)
    if (objects.length === 0) break
    for (const object of objects) {
      signal.throwIfAborted()
      const verdict = await verifyObject(deps, place, object, signal)
      if (!['OK', 'OK_WITH_ERASURES', 'NOT_READ'].includes(verdict)) faulty++
      progress(++checked)
    }
  }
  if (faulty > 0) throw new Error(`${faulty} archive objects of ${place.region} are not what was written`)
  return checked
}

async function verifyObject(
  deps: ArchiveDeps,
  { region, database }: ArchivePlace,
  object: ArchiveObject,
  signal: AbortSignal,
): Promise<ArchiveVerdict> {
  const store = await deps.stores.of(region)
  const options = { companies: [object.companyId], timeoutMs: TIMEOUT_MS }
  const head = await store.head(object.key)
  const isThere = head !== null && isReadable(head.objectClass)
  if (head !== null && head.objectClass !== object.storageClass) await deps.reader.refresh(object)
  const { hashes, erased } = await database.transaction({ ...options, readOnly: true }, async (tx) => ({
    hashes: await readArchivedHashes(tx, object),
    erased: await hasErasures(tx, object),
  }))
  const fault = head === null ? 'MISSING' : isThere ? await verifyBytes(store, object, hashes, signal) : null
  const now = deps.clock.now()
  const verifiedAt = isThere && fault === null ? now : null
  await database.transaction(options, async (tx) => {
    const [current] = await findObjects(tx, region, [object.id])
    // Rewritten by an erasure while it was read: the rewriting has verified it.
    if (current?.key !== object.key) return
    // What can't be read now is no better than it was.
    const kept = fault ?? (isThere ? null : current.fault)
    await noteVerification(tx, object.id, { checkedAt: now, verifiedAt, fault: kept })
    if (fault !== null) deps.alarms.raise(object, fault)
  })
  return fault ?? (isThere ? (erased ? 'OK_WITH_ERASURES' : 'OK') : 'NOT_READ')
}

const hasErasures = async (
  tx: Parameters<typeof readArchivedHashes>[0],
  { workspaceId, firstSequence, lastSequence }: ArchiveObject,
): Promise<boolean> => {
  const rows = await tx.query(
    'select from tombstone where workspace_id = $1 and sequence between $2 and $3 limit 1',
    [workspaceId, firstSequence, lastSequence],
    'archive_has_erasures',
  )
  return rows.length > 0
}
