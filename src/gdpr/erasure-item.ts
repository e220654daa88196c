import { CacheUnavailableError } from '../cache/shared-cache.js'
import { DatabaseError } from '../db/database-error.js'
import { listWorkspaceFacts } from '../directory/facts.store.js'
import { DeadlineExceeded } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { readQuietEpochs } from '../failover/pending-write.store.js'
import { ObjectStoreUnavailableError } from '../objects/object-errors.js'
import type { ErasureSubject } from './erase-workspace.js'
import type { ErasureDeps } from './erasure-deps.js'
import type { SealedGdprRequest } from './gdpr-request.store.js'
import { contentMatcher } from './personal-content.js'
import { openSubject, subjectPseudonym } from './sealed-subject.js'
import { identifiersOf, subjectTags } from './subject.js'

/** A request at work. */
export interface ErasureItem {
  readonly request: SealedGdprRequest
  readonly subject: ErasureSubject
  readonly workspaces: Map<Region, readonly string[]>
  /** By region, where no event waited for it when the work began: the epoch of its mode then. */
  readonly quietEpochs: ReadonlyMap<Region, number>
  /** Something was still found in this round. */
  isDirty: boolean
  /** Something was found since this was last set to false. */
  foundSince: boolean
  /** Archive objects by region that have to be restored before they can be rewritten. */
  readonly waitingObjects: Map<Region, number>
  /** Why it can't be finished in this run; null: it can. */
  obstacle: unknown
}

/** The company's chains by their home region, UUIDs: all that there are now, whatever is remembered. */
export async function workspacesByRegion(
  { control }: Pick<ErasureDeps, 'control'>,
  companyId: string,
): Promise<Map<Region, string[]>> {
  const { workspaces } = await listWorkspaceFacts(control, companyId)
  const byRegion = Map.groupBy(workspaces, ({ dataRegion }) => dataRegion)
  return new Map([...byRegion].map(([region, own]) => [region, own.map(({ id }) => id)]))
}

/** Takes in chains that were made since the work began. Of a region that had none, the next run finds whether it is quiet. */
export async function takeInWorkspaces(deps: Pick<ErasureDeps, 'control'>, item: ErasureItem): Promise<void> {
  for (const [region, ids] of await workspacesByRegion(deps, item.request.companyId)) item.workspaces.set(region, ids)
}

/** Opens a request for work; null where its subject can't be known any more. */
export async function openItem(deps: ErasureDeps, request: SealedGdprRequest): Promise<ErasureItem | null> {
  const { id: requestId, companyId, requestType: mode } = request
  const subject = await openSubject(deps, request)
  if (subject === null) return null
  const secret = deps.secrets.openRequestSecret(requestId, request.secretSealed)
  const workspaces: ErasureItem['workspaces'] = await workspacesByRegion(deps, companyId)
  return {
    request,
    subject: {
      requestId,
      companyId,
      mode,
      tags: subjectTags(await deps.facts.tagKey(companyId), subject),
      mentions: contentMatcher(identifiersOf(subject)),
      pseudonym: mode === 'ANONYMIZE' ? subjectPseudonym(secret, subject) : null,
    },
    workspaces,
    quietEpochs: await readQuietEpochs(deps.control, [...workspaces.keys()]),
    isDirty: true,
    foundSince: false,
    waitingObjects: new Map(),
    obstacle: null,
  }
}

/** Something of the subject, or perhaps of it, is in cold storage: the request is PROCESSING until it was looked at. */
export const isWaiting = ({ waitingObjects }: ErasureItem): boolean =>
  [...waitingObjects.values()].some((count) => count > 0)

/** Something of the subject was found, and erased: it is to be looked for once more. */
export function markFound(item: ErasureItem): void {
  item.isDirty = true
  item.foundSince = true
}

/** Something doesn't answer now: the request waits, and has not failed. */
export const isOutage = (error: unknown): boolean =>
  error instanceof DeadlineExceeded ||
  error instanceof CacheUnavailableError ||
  error instanceof ObjectStoreUnavailableError ||
  isRegionDown(error)

/** A region (or the control database) doesn't answer now. */
export const isRegionDown = (error: unknown): boolean =>
  (error instanceof DomainError && error.code === 'REGION_UNAVAILABLE') ||
  (error instanceof DatabaseError && error.refusesWrites)
