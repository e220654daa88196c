import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { clearIndex } from './close-requests.js'
import { eraseWorkspace } from './erase-workspace.js'
import { eraseArchives } from './erase-archives.js'
import type { ErasureDeps } from './erasure-deps.js'
import { type ErasureItem, markFound, takeInWorkspaces } from './erasure-item.js'
import { countTaggedEvents, findSubjectKeys, hasOwnEvents } from './erasure.store.js'
import { announceErasure, readScans, storeEvidence, storeScan, storeTotals } from './erasure-work.store.js'
import { turnBucket } from './turn-bucket.js'

const TIMEOUT_MS = 30_000

interface Place {
  readonly region: Region
  readonly database: Database
}

/** Erases the values of one request from the chains of a region, from where an earlier run came to. */
export async function eraseValues(
  deps: ErasureDeps,
  place: Place,
  item: ErasureItem,
  signal: AbortSignal,
): Promise<void> {
  const { region, database } = place
  const { subject } = item
  const { requestId } = subject
  const workspaceIds = item.workspaces.get(region) ?? []
  const scans = await readScans(deps.control, requestId)
  if (!workspaceIds.some((id) => scans.has(id))) {
    const matched = await countTaggedEvents(database, subject.companyId, workspaceIds, subject.tags)
    await storeTotals(deps.control, requestId, { matched })
  }
  const own = {
    ...deps,
    tagKeyOf: (companyId: string) => deps.facts.tagKey(companyId),
    onErased: (chain: { workspaceId: string; companyId: string }, sequence: number) =>
      deps.replicas.erased(chain, sequence),
  }
  for (const workspaceId of workspaceIds)
    await eraseWorkspace(
      own,
      { region, database, workspaceId },
      subject,
      scans.get(workspaceId) ?? 0,
      async (scannedTo, erased) => {
        deps.onStep?.('values.erased')
        if (erased > 0) markFound(item)
        await storeScan(deps.control, { requestId, workspaceId, scannedTo, erased })
        deps.onStep?.('values.noted')
      },
      signal,
    )
  await eraseArchives(own, place, item, workspaceIds, signal)
  if (item.isDirty) await clearIndex(deps, item.request, place, workspaceIds)
}

/**
 * Destroys the keys of all these requests' subjects in a region, one turn of a bucket for all of them. A key stays where
 * an event of its subject has come in since: the next round erases that first.
 */
export async function destroyKeys(
  deps: ErasureDeps,
  place: Place,
  items: readonly ErasureItem[],
  signal: AbortSignal,
): Promise<void> {
  const { region, database } = place
  const companies = [...new Set(items.map(({ request }) => request.companyId))]
  const doomed = await database.transaction({ companies, readOnly: true, timeoutMs: TIMEOUT_MS }, async (tx) => {
    const found = await Promise.all(
      items.map(async (item) => {
        // What an anonymised event in cold storage says of its actor tells what identifies it elsewhere in the event:
        // without it that would stay, sealed anew, for good.
        if (item.subject.mode === 'ANONYMIZE' && (item.waitingObjects.get(region) ?? 0) > 0) return []
        const keys = await findSubjectKeys(tx, item.request.companyId, item.subject.tags)
        return keys.map((key) => ({ ...key, item }))
      }),
    )
    return Map.groupBy(found.flat(), ({ bucket }) => bucket)
  })
  for (const [bucket, keys] of doomed) {
    signal.throwIfAborted()
    const byItem = Map.groupBy(keys, ({ item }) => item)
    const gone = new Map<ErasureItem, string[]>()
    for (const item of byItem.keys()) markFound(item)
    await turnBucket({ ...deps, onStep: (step) => deps.onStep?.(step) }, place, bucket, companies, async (tx) => {
      gone.clear()
      for (const [item, own] of byItem) {
        // An event in a chain that was made since is sealed by the same key; nobody records one now.
        await takeInWorkspaces(deps, item)
        if (!(await hasOwnEvents(tx, item.workspaces.get(region) ?? [], item.subject.tags)))
          gone.set(
            item,
            own.map(({ id }) => id),
          )
      }
      return [...gone.values()].flat()
    })
    const completedAt = deps.clock.now()
    for (const [item, ids] of gone)
      await storeEvidence(
        deps.control,
        item.request.id,
        { region, store: 'subject keys', records: ids.length, completedAt },
        'add',
      )
  }
  if (doomed.size > 0) await announceErasure(deps.control, region)
}
