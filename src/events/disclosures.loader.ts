import type { KeyObject } from 'node:crypto'
import DataLoader from 'dataloader'
import { deadlineAfter } from '../kernel/deadline.js'
import type { Region } from '../kernel/region.js'
import { type DisclosedFields, fieldsOf } from '../ledger/index.js'
import { type RegionGateway, valueOf } from '../regions/region-gateway.js'
import { blobKeyId, type BlobName, openValues } from '../sealing/sealed-blob.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import type { AuditEvent } from './audit-event.js'

export interface DisclosureReads {
  readonly gateway: RegionGateway
  readonly subjectKeys: SubjectKeys
  readonly regionDeadlineMs: number
}

/** One sealed part of one event. */
interface SealedPart {
  readonly event: AuditEvent
  readonly blob: BlobName
}

/** At once where nothing has to be waited for: a promise for each field of each event is what a page would spend most on. */
export type Ready<T> = T | Promise<T>

export type DisclosedContent = Omit<DisclosedFields, 'actor'>

/**
 * What events disclose: who did it, and what. What was erased is absent; an anonymised actor has a pseudonym.
 * Both methods throw or reject.
 */
export interface DisclosureLoader {
  actor(event: AuditEvent): Ready<DisclosedFields['actor']>
  content(event: AuditEvent): Ready<DisclosedContent>
}

/**
 * Unseals events, for one request. However many are asked for at once, each region is asked once for the keys that are
 * not in memory. `REGION_UNAVAILABLE` where keys are missing and nothing in the region answers.
 */
export function createDisclosureLoader(deps: DisclosureReads): DisclosureLoader {
  const loader = new DataLoader<SealedPart, DisclosedFields, string>((parts) => openParts(deps, parts), {
    cacheKeyFn: ({ event, blob }) => `${event.id}/${blob}`,
    maxBatchSize: Infinity,
  })
  const opened = { identity: new Map<string, DisclosedFields>(), content: new Map<string, DisclosedFields>() }
  const fieldsIn = (event: AuditEvent, blob: BlobName): Ready<DisclosedFields> => {
    let fields = opened[blob].get(event.id)
    if (fields !== undefined) return fields
    const bytes = blob === 'identity' ? event.identityBlob : event.contentBlob
    const key = bytes === null ? null : deps.subjectKeys.peek(event.region, blobKeyId(bytes))
    if (key === undefined) return loader.load({ event, blob })
    fields = bytes === null || key === null ? nothing : openedFields(event, blob, bytes, key)
    opened[blob].set(event.id, fields)
    return fields
  }
  return {
    actor: (event) => {
      if (event.actorPseudonym !== null)
        return { id: `anon_${event.actorPseudonym.toString('hex')}`, email: null, name: null }
      const fields = fieldsIn(event, 'identity')
      return fields instanceof Promise ? fields.then(({ actor }) => actor) : fields.actor
    },
    content: (event) => fieldsIn(event, 'content'),
  }
}

const nothing = fieldsOf([])

const sealedBytes = ({ event, blob }: SealedPart): Buffer | null =>
  blob === 'identity' ? event.identityBlob : event.contentBlob

async function openParts(deps: DisclosureReads, parts: readonly SealedPart[]): Promise<(DisclosedFields | Error)[]> {
  const byRegion = Map.groupBy(parts, ({ event }) => event.region)
  const opened = new Map<SealedPart, DisclosedFields | Error>()
  await Promise.all(
    [...byRegion].map(async ([region, own]) => {
      try {
        await openPartsOf(deps, region, own, opened)
      } catch (error) {
        // One region's failure is no other region's.
        for (const part of own) opened.set(part, error instanceof Error ? error : new Error(String(error)))
      }
    }),
  )
  return parts.map((part) => opened.get(part)!)
}

async function openPartsOf(
  deps: DisclosureReads,
  region: Region,
  parts: readonly SealedPart[],
  opened: Map<SealedPart, DisclosedFields | Error>,
): Promise<void> {
  const sealed = parts.filter((part) => sealedBytes(part) !== null)
  const companies = [...new Set(sealed.map(({ event }) => event.companyId))]
  const keyIds = [...new Set(sealed.map((part) => blobKeyId(sealedBytes(part)!)))]
  const keys =
    keyIds.length === 0
      ? new Map<string, never>()
      : valueOf(
          await deps.gateway.read(region, companies, deadlineAfter(deps.regionDeadlineMs), (tx, _, servedBy) =>
            deps.subjectKeys.load(tx, servedBy, keyIds),
          ),
        )
  for (const part of parts) {
    const bytes = sealedBytes(part)
    const key = bytes === null ? undefined : keys.get(blobKeyId(bytes))
    // No blob, or a key that was destroyed: there is nothing to disclose any more.
    opened.set(part, bytes === null || key === undefined ? nothing : openPart(part, bytes, key))
  }
}

function openPart({ event, blob }: SealedPart, bytes: Buffer, key: KeyObject): DisclosedFields | Error {
  try {
    return openedFields(event, blob, bytes, key)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

const openedFields = (event: AuditEvent, blob: BlobName, bytes: Buffer, key: KeyObject): DisclosedFields =>
  fieldsOf(openValues(key, { workspaceId: event.workspaceId, eventId: event.id, blob }, bytes))
