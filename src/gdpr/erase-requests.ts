import { systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { complete, destroyRequestKeys, eraseElsewhere, isQuiet, reclaimAfter } from './close-requests.js'
import { destroyKeys, eraseValues } from './erase-region.js'
import type { ErasureDeps } from './erasure-deps.js'
import { noteErasureDebt, settleErasureDebts } from './erasure-debt.store.js'
import { type ErasureItem, isOutage, isRegionDown, isWaiting, openItem, takeInWorkspaces } from './erasure-item.js'
import { markErased } from './erasure-work.store.js'
import { nextStatus } from './gdpr-request.js'
import { listWork, lockGdprRequest, moveGdprRequest, type SealedGdprRequest } from './gdpr-request.store.js'
import { isHeld } from './legal-hold.store.js'
import { destroyReplacedKeys } from './turn-bucket.js'
import { raiseQueueFence } from '../regions/region-mode.store.js'
import { raiseFence } from '../sealing/hold-subject-keys.js'

/** Requests carried out together, so that a bucket turns once for all of them. */
const REQUESTS_PER_RUN_MAX = 100
/** How often the regions are gone through again while the subject's events keep coming. */
const ROUNDS_MAX = 5
/** Waits for the commits that are under way. */
const FENCE_TIMEOUT_MS = 10_000

const UNEXPECTED =
  'The erasure stopped on an unexpected error; what it was is in the log of the service. It can be retried.'
const SUBJECT_LOST = 'The key that sealed whom the request is about is gone.'

/**
 * Carries out the requests that both sides have approved, as far as that is possible now: values, keys, index, exports,
 * and last what the requests themselves know. What an outage keeps from being finished stays PROCESSING for the next
 * run; any other error makes its request FAILED. It may be cut short at any point, also by the death of the process,
 * and run by two processes at once. Answers how many requests it completed.
 */
export async function eraseRequests(deps: ErasureDeps, signal: AbortSignal): Promise<number> {
  for (const { region } of deps.registry.list())
    await throughOutage(deps, () =>
      deps.registry.use(region, ({ database }) => destroyReplacedKeys(deps.vault, region, database)),
    )
  const work = await listWork(deps.control, REQUESTS_PER_RUN_MAX)
  const items = await openItems(deps, work, signal)
  await eraseRounds(deps, items, signal)
  const upTo = await eraseAccepted(deps, items, signal)
  const erased = work.filter(({ status, identifiersSealed }) => status === 'PROCESSING' && identifiersSealed === null)
  for (const item of items)
    await guarded(deps, item, signal, async () => {
      if (item.isDirty || isWaiting(item) || !(await eraseElsewhere(deps, item, signal))) return
      await markErased(deps.control, item.request.id, upTo)
      deps.onStep?.('request.erased')
      erased.push(item.request)
    })
  const rejected = work.filter(({ status }) => status === 'REJECTED')
  if (rejected.length > 0) await throughOutage(deps, () => settleErasureDebts(deps.control, rejected, null))
  const closable = await destroyOwnKeys(deps, erased, rejected, signal)
  if (closable.length > 0) await closeRequests(deps, closable, items, signal)
  return closable.length
}

/**
 * Erases what was accepted before now, also what other processes have yet to commit: these accept it anew, later.
 * Answers the moment. Items that are dirty afterwards are not that far.
 */
async function eraseAccepted(deps: ErasureDeps, items: readonly ErasureItem[], signal: AbortSignal): Promise<Date> {
  const upTo = deps.clock.now()
  const active = items.filter((item) => item.obstacle === null && !item.isDirty)
  // What was accepted before has its chain by now.
  for (const item of active) await guarded(deps, item, signal, () => takeInWorkspaces(deps, item))
  for (const region of new Set(active.flatMap((item) => [...item.workspaces.keys()])))
    try {
      await deps.registry.use(region, ({ database }) =>
        database.transaction({ companies: [], timeoutMs: FENCE_TIMEOUT_MS }, raiseFence),
      )
      await raiseQueueFence(deps.control, region, FENCE_TIMEOUT_MS)
    } catch (error) {
      for (const item of active) if (item.workspaces.has(region)) await obstruct(deps, item, error, signal, region)
    }
  deps.onStep?.('fences.raised')
  for (const item of active) item.isDirty = true
  await eraseRounds(deps, active, signal)
  return upTo
}

async function openItems(
  deps: ErasureDeps,
  work: readonly SealedGdprRequest[],
  signal: AbortSignal,
): Promise<ErasureItem[]> {
  const items: ErasureItem[] = []
  for (const request of work) {
    signal.throwIfAborted()
    if (request.status === 'REJECTED' || request.identifiersSealed === null) continue
    try {
      const item = await openItem(deps, request)
      if (item === null) await fail(deps, request, SUBJECT_LOST)
      else if (await begin(deps, item)) items.push(item)
    } catch (error) {
      // The region keeps whom the request is about, and is one of those it is to be carried out in.
      await owe(deps, request, request.keyRegion, error, signal)
      await settle(deps, request, error, signal)
    }
  }
  return items
}

/** PROCESSING from now on. False while a legal hold is in force, or where somebody rejected it just now. */
async function begin(deps: ErasureDeps, { request, subject }: ErasureItem): Promise<boolean> {
  return changeControl(deps, async ({ tx, log }) => {
    const locked = await lockGdprRequest(tx, request.id)
    if (locked === null) return false
    if (await isHeld(tx, request.companyId, subject.tags)) {
      // What is held is not erased, and so is read.
      await settleErasureDebts(tx, [request], null)
      return false
    }
    if (locked.status === 'PROCESSING') return true
    if (locked.status !== 'ADMIN_APPROVED') return false
    await moveGdprRequest(tx, { id: request.id, from: locked.status, to: nextStatus(locked.status, 'START') })
    log(entryOf(request, 'started'))
    return true
  })
}

async function eraseRounds(deps: ErasureDeps, items: readonly ErasureItem[], signal: AbortSignal): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const active = items.filter((item) => item.obstacle === null && item.isDirty)
    if (active.length === 0) return
    for (const item of active) item.isDirty = false
    const regions = new Set(active.flatMap((item) => [...item.workspaces.keys()]))
    for (const region of regions) await eraseInRegion(deps, region, active, signal)
  }
}

async function eraseInRegion(
  deps: ErasureDeps,
  region: Region,
  items: readonly ErasureItem[],
  signal: AbortSignal,
): Promise<void> {
  // Another region that is down keeps nothing from being erased here.
  const here = items.filter(
    ({ workspaces, obstacle }) => workspaces.has(region) && (obstacle === null || isRegionDown(obstacle)),
  )
  const done: ErasureItem[] = []
  for (const item of here)
    try {
      await deps.registry.use(region, (handle) => eraseValues(deps, handle, item, signal))
      done.push(item)
    } catch (error) {
      await obstruct(deps, item, error, signal, region)
    }
  if (done.length === 0) return
  try {
    await deps.registry.use(region, (handle) => destroyKeys(deps, handle, done, signal))
    await settleErasureDebts(
      deps.control,
      done.map(({ request }) => request),
      region,
    )
  } catch (error) {
    for (const item of done) await obstruct(deps, item, error, signal, region)
  }
}

async function destroyOwnKeys(
  deps: ErasureDeps,
  erased: readonly SealedGdprRequest[],
  rejected: readonly SealedGdprRequest[],
  signal: AbortSignal,
): Promise<SealedGdprRequest[]> {
  const closable: SealedGdprRequest[] = []
  for (const [region, own] of Map.groupBy([...erased, ...rejected], ({ keyRegion }) => keyRegion))
    await throughOutage(deps, async () => {
      await destroyRequestKeys(deps, region, own, signal)
      closable.push(...own.filter((request) => erased.includes(request)))
    })
  return closable
}

/**
 * Completes requests whose own keys are gone: they know their subjects in memory only, and erase once more what was
 * accepted since. Where that can't be, as after a crash, a request is done as of when its subject was last erased.
 */
async function closeRequests(
  deps: ErasureDeps,
  closable: readonly SealedGdprRequest[],
  items: readonly ErasureItem[],
  signal: AbortSignal,
): Promise<void> {
  deps.onStep?.('request_keys.destroyed')
  await reclaimAfter(deps, closable)
  const known = items.filter(({ request }) => closable.includes(request))
  for (const item of known) item.foundSince = false
  const upTo = await eraseAccepted(deps, known, signal)
  const upToNow: SealedGdprRequest[] = []
  for (const item of known)
    await guarded(deps, item, signal, async () => {
      const isUpToNow =
        !item.isDirty && (item.foundSince ? await eraseElsewhere(deps, item, signal) : await isQuiet(deps, item))
      if (isUpToNow) upToNow.push(item.request)
    })
  const late = known.filter(({ foundSince }) => foundSince).map(({ request }) => request)
  if (late.length > 0) await reclaimAfter(deps, late)
  for (const request of closable) await complete(deps, request, upToNow.includes(request) ? upTo : null)
}

async function guarded(
  deps: ErasureDeps,
  item: ErasureItem,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  if (item.obstacle !== null) return
  try {
    await work()
  } catch (error) {
    await obstruct(deps, item, error, signal)
  }
}

/** `region`: where it was met, if in one. What was down then owes the erasure, and is not read before it was made. */
async function obstruct(
  deps: ErasureDeps,
  item: ErasureItem,
  error: unknown,
  signal: AbortSignal,
  region: Region | null = null,
): Promise<void> {
  item.obstacle = error
  item.isDirty = true
  if (region !== null) await owe(deps, item.request, region, error, signal)
  await settle(deps, item.request, error, signal)
}

/** A region that was down owes the erasure. */
async function owe(
  deps: ErasureDeps,
  request: SealedGdprRequest,
  region: Region,
  error: unknown,
  signal: AbortSignal,
): Promise<void> {
  if (!signal.aborted && isRegionDown(error))
    await throughOutage(deps, () => noteErasureDebt(deps.control, request, region))
}

/** An outage leaves a request as it is; a run that was cut short touches nothing more; anything else is a failure. */
async function settle(
  deps: ErasureDeps,
  request: SealedGdprRequest,
  error: unknown,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) throw error
  if (isOutage(error)) deps.log.warn({ err: error, requestId: request.id }, 'an erasure waits for what does not answer')
  else {
    deps.log.error({ err: error, requestId: request.id }, 'an erasure failed')
    await fail(deps, request, UNEXPECTED)
  }
}

async function fail(deps: ErasureDeps, request: SealedGdprRequest, failure: string): Promise<void> {
  await changeControl(deps, async ({ tx, log }) => {
    const locked = await lockGdprRequest(tx, request.id)
    await settleErasureDebts(tx, [request], null)
    if (locked?.status !== 'PROCESSING') return
    await moveGdprRequest(tx, { id: request.id, from: locked.status, to: nextStatus(locked.status, 'FAIL'), failure })
    log(entryOf(request, 'failed'))
  })
}

async function throughOutage(deps: ErasureDeps, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isOutage(error)) throw error
    deps.log.warn({ err: error }, 'an erasure waits for what does not answer')
  }
}

const entryOf = (request: SealedGdprRequest, what: string) =>
  ({
    companyId: request.companyId,
    actor: systemActor,
    action: `gdpr_request.${what}`,
    category: 'privacy',
    target: { type: 'gdpr_request', id: encodeId('gdprRequest', request.id) },
  }) as const
