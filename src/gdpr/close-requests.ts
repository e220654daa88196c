import { readdir } from 'node:fs/promises'
import { appendAdminEntries } from '../admin-log/append-admin-entries.js'
import { systemActor } from '../admin-log/admin-entry.js'
import type { Database } from '../db/database.js'
import { deleteExportFile, exportFolder, exportIdOf } from '../exports/export-file.js'
import { eraseDeadLetters } from '../failover/erase-pending.js'
import { readQuietEpochs } from '../failover/pending-write.store.js'
import { encodeId } from '../kernel/ids.js'
import { pagesById } from '../kernel/pages-by-id.js'
import { type Region, regions } from '../kernel/region.js'
import type { ErasureDeps } from './erasure-deps.js'
import { type ErasureItem, workspacesByRegion } from './erasure-item.js'
import { findKeys, readErasedTags, readErasureTotals } from './erasure.store.js'
import {
  announceErasure,
  clearIndexTags,
  completeRequest,
  countIndexed,
  dropExports,
  markKeyDestroyed,
  storeEvidence,
  storeTotals,
} from './erasure-work.store.js'
import type { SealedGdprRequest } from './gdpr-request.store.js'
import { reclaimSpace } from '../db/reclaim-space.js'
import { turnBucket } from './turn-bucket.js'

const TIMEOUT_MS = 60_000
const TAGS_PER_PAGE = 1_000
const replicaTables = ['replica.event']
const regionTables = ['event', 'archived_event', 'subject_key', 'idempotency_key', ...replicaTables]
const controlTables = ['event_index', 'gdpr_request', 'pending_write', 'dead_letter']

/**
 * Follows a request, of whose subject the regions hold nothing any more, into what is kept elsewhere: replicas, the global
 * index, exports, and dead letters. Notes the evidence. False where the index was not there yet, or events that were
 * accepted before wait in the pending queue, or were brought home since the work began: the next run finds them there.
 */
export async function eraseElsewhere(deps: ErasureDeps, item: ErasureItem, signal: AbortSignal): Promise<boolean> {
  const { control } = deps
  const { id } = item.request
  await eraseReplicas(deps, item, signal)
  let erased = 0
  if (!(await isQuiet(deps, item))) return false
  for (const [region, workspaceIds] of item.workspaces) {
    signal.throwIfAborted()
    erased += await deps.registry.use(region, ({ database }) => noteRegion(deps, item, region, database, workspaceIds))
    await erasePending(deps, item, region)
    deps.onStep?.('region.noted')
  }
  const all = [...item.workspaces.values()].flat()
  if ((await countIndexed(control, all, item.subject.tags)) > 0) return false
  await storeTotals(control, id, { erased })
  return true
}

/** A request is not done before every copy in other regions has followed; one that is down has it wait. */
async function eraseReplicas(deps: ErasureDeps, item: ErasureItem, signal: AbortSignal): Promise<void> {
  const completedAt = deps.clock.now()
  for (const evidence of await deps.replicas.apply(item.request, item.workspaces, signal))
    await storeEvidence(
      deps.control,
      item.request.id,
      { ...evidence, completedAt },
      evidence.store === 'replica subject keys' ? 'add' : 'set',
    )
  deps.onStep?.('replicas.erased')
}

/** Whether nothing waited for the company's regions since the work began. */
export async function isQuiet({ control }: ErasureDeps, { workspaces, quietEpochs }: ErasureItem): Promise<boolean> {
  const now = await readQuietEpochs(control, [...workspaces.keys()])
  return [...workspaces.keys()].every((region) => now.has(region) && now.get(region) === quietEpochs.get(region))
}

/** What could not be recorded goes for good; the queue itself is empty, and the evidence says so. */
async function erasePending(deps: ErasureDeps, { request, subject }: ErasureItem, region: Region): Promise<void> {
  const records = await eraseDeadLetters(deps, region, subject)
  const completedAt = deps.clock.now()
  await storeEvidence(deps.control, request.id, { region, store: 'dead letters', records, completedAt }, 'add')
  await storeEvidence(deps.control, request.id, { region, store: 'pending queue', records: 0, completedAt }, 'set')
}

async function noteRegion(
  deps: ErasureDeps,
  { request }: ErasureItem,
  region: Region,
  database: Database,
  workspaceIds: readonly string[],
): Promise<number> {
  const { control } = deps
  const options = { companies: [request.companyId], readOnly: true, timeoutMs: TIMEOUT_MS }
  const totals = await database.transaction(options, (tx) => readErasureTotals(tx, workspaceIds, request.id))
  await clearIndex(deps, request, { region, database }, workspaceIds)
  const exports = await eraseExports(deps, totals.workspaceIds)
  // Nobody is shown them any more, and their keys are gone; they go all the same, in every process.
  const pages = await deps.dropPages(region, request.companyId)
  await announceErasure(control, region)
  const completedAt = deps.clock.now()
  const note = (store: string, records: number, how: 'add' | 'set'): Promise<void> =>
    storeEvidence(control, request.id, { region, store, records, completedAt }, how)
  await note('events', totals.events, 'set')
  await note('disclosures', totals.disclosures, 'set')
  await note('exports', exports, 'add')
  await note('cached pages', pages, 'add')
  await note('earlier versions of other events in the log', totals.resealed, 'set')
  return totals.events
}

/** Takes from the global index what the chains of a region have lost by a request. */
export async function clearIndex(
  deps: Pick<ErasureDeps, 'control' | 'clock'>,
  { id, companyId }: Pick<SealedGdprRequest, 'id' | 'companyId'>,
  { region, database }: { readonly region: Region; readonly database: Database },
  workspaceIds: readonly string[],
): Promise<void> {
  const options = { companies: [companyId], readOnly: true, timeoutMs: TIMEOUT_MS }
  let records = 0
  const pages = pagesById(TAGS_PER_PAGE, (after, limit) =>
    database.transaction(options, (tx) => readErasedTags(tx, workspaceIds, id, after, limit)),
  )
  for await (const page of pages) records += await clearIndexTags(deps.control, page)
  const completedAt = deps.clock.now()
  await storeEvidence(deps.control, id, { region, store: 'global index', records, completedAt }, 'add')
}

/** Deletes what exports of these chains have written; other processes hear of it and clean their own disks. */
async function eraseExports(deps: ErasureDeps, workspaceIds: readonly string[]): Promise<number> {
  if (workspaceIds.length === 0) return 0
  // Listed before their exports are ended: what an attempt after that writes has a name of its own.
  const files: { folder: string; name: string }[] = []
  for (const region of regions) {
    const folder = exportFolder(deps.exportsDir, region)
    for (const name of await readdir(folder).catch(ignoreMissing)) files.push({ folder, name })
  }
  const dropped = new Set((await dropExports(deps.control, workspaceIds, deps.clock.now())).map(({ id }) => id))
  for (const { folder, name } of files) {
    const id = exportIdOf(name)
    if (id !== null && dropped.has(id)) await deleteExportFile(folder, name)
  }
  return dropped.size
}

function ignoreMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return []
  throw error
}

/** Destroys the keys of requests that are over, and with them what they knew of their subjects. */
export async function destroyRequestKeys(
  deps: ErasureDeps,
  region: Region,
  requests: readonly SealedGdprRequest[],
  signal: AbortSignal,
): Promise<void> {
  await deps.registry.use(region, async ({ database }) => {
    const companies = [...new Set(requests.map(({ companyId }) => companyId))]
    const keyIds = requests.map(({ keyId }) => keyId)
    const rows = await database.transaction({ companies, readOnly: true, timeoutMs: TIMEOUT_MS }, (tx) =>
      findKeys(tx, keyIds),
    )
    for (const [bucket, keys] of Map.groupBy(rows, (row) => row.bucket)) {
      signal.throwIfAborted()
      const ids = keys.map(({ id }) => id)
      await turnBucket(
        { ...deps, onStep: (step) => deps.onStep?.(step) },
        { region, database },
        bucket,
        companies,
        () => Promise.resolve(ids),
      )
    }
  })
  for (const { id } of requests) await markKeyDestroyed(deps.control, id, deps.clock.now())
  await announceErasure(deps.control, region)
}

/** Has the databases let go of what deleted rows leave in their files. Notes what could not be. */
export async function reclaimAfter(deps: ErasureDeps, requests: readonly SealedGdprRequest[]): Promise<void> {
  const regionsOf = new Map<string, ReadonlySet<Region>>()
  for (const { id, companyId } of requests) {
    const homes = (await workspacesByRegion(deps, companyId)).keys()
    regionsOf.set(id, new Set([...homes, ...(await deps.replicas.regionsOf(companyId))]))
  }
  for (const { region } of deps.registry.list()) {
    const own = requests.filter(({ id }) => regionsOf.get(id)!.has(region))
    // Nobody remembers which regions had replicas once; their files do.
    const kept = await reclaimFrom(deps, region, own.length > 0 ? regionTables : replicaTables)
    const completedAt = deps.clock.now()
    const evidence = {
      region,
      store: 'tables that keep traces of tags until they are reused',
      records: kept,
      completedAt,
    }
    for (const { id } of kept > 0 ? requests : own) await storeEvidence(deps.control, id, evidence, 'set')
  }
  const kept = await reclaimFrom(deps, 'CONTROL', controlTables)
  const completedAt = deps.clock.now()
  for (const { id, keyRegion: region } of requests)
    await storeEvidence(
      deps.control,
      id,
      { region, store: 'control tables that keep traces of tags until they are reused', records: kept, completedAt },
      'set',
    )
}

async function reclaimFrom(deps: ErasureDeps, name: Region | 'CONTROL', tables: readonly string[]): Promise<number> {
  try {
    const url = await deps.ownerUrl(name)
    return url === null ? tables.length : await reclaimSpace(name, url, tables)
  } catch (err) {
    // What is in the files can be read by nobody; the evidence says that it is there.
    deps.log.warn({ err, database: name }, 'the space of erased rows could not be reclaimed')
    return tables.length
  }
}

/**
 * The last step: DONE, and in the admin log. `upTo`: what was accepted before is erased; null: up to when it was marked
 * erased.
 */
export async function complete(deps: ErasureDeps, request: SealedGdprRequest, upTo: Date | null): Promise<void> {
  const { control, clock } = deps
  await control.transaction({ timeoutMs: TIMEOUT_MS }, async (tx) => {
    if (!(await completeRequest(tx, request.id, upTo))) return
    await appendAdminEntries(tx, clock, [
      {
        companyId: request.companyId,
        actor: systemActor,
        action: 'gdpr_request.completed',
        category: 'privacy',
        target: { type: 'gdpr_request', id: encodeId('gdprRequest', request.id) },
      },
    ])
  })
}
