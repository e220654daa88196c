import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { RegionAnswer } from '../regions/region-gateway.js'
import type { AuditEvent } from './audit-event.js'
import type { EventReads } from './event-reads.js'

/**
 * Events with the blobs that their archive objects have; those of the database as they are. `withBlobs` false: nothing
 * sealed was asked for, so that it only matters that no object is cold. Throws RESTORE_REQUIRED naming every cold
 * object, before a byte of any is read; REGION_UNAVAILABLE.
 */
export async function withArchived(
  { archives }: Pick<EventReads, 'archives'>,
  events: readonly AuditEvent[],
  withBlobs: boolean,
): Promise<readonly AuditEvent[]> {
  const archived = events.filter(({ archiveObjectId }) => archiveObjectId !== null)
  if (archived.length === 0) return events
  const filled = new Map<string, AuditEvent>()
  for (const [place, own] of Map.groupBy(archived, ({ region, companyId }) => `${region} ${companyId}`)) {
    const [region, companyId] = place.split(' ') as [Region, string]
    const objectIds = [...new Set(own.map(({ archiveObjectId }) => archiveObjectId!))]
    const objects = await archives.require({ region, companyId, objectIds }, withBlobs)
    for (const event of own) {
      if (!withBlobs) continue
      const line = objects.get(event.archiveObjectId!)?.get(event.sequence)
      // Without its line an event would look as if it said nothing.
      if (line === undefined) throw archiveDamaged(region)
      filled.set(event.id, { ...event, identityBlob: line.identityBlob, contentBlob: line.contentBlob })
    }
  }
  return events.map((event) => filled.get(event.id) ?? event)
}

/**
 * {@link withArchived} for a page of several regions: where one region's bucket does not answer, its events are left
 * out, and its answer says so.
 */
export async function fillPage<T>(
  deps: Pick<EventReads, 'archives'>,
  events: readonly AuditEvent[],
  answers: readonly RegionAnswer<T>[],
  withBlobs: boolean,
): Promise<{ readonly events: readonly AuditEvent[]; readonly answers: readonly RegionAnswer<T>[] }> {
  if (events.every(({ archiveObjectId }) => archiveObjectId === null)) return { events, answers }
  const filled = new Map<string, AuditEvent>()
  const cold: string[] = []
  const away = new Map<Region, unknown>()
  await Promise.all(
    [...Map.groupBy(events, ({ region }) => region)].map(async ([region, own]) => {
      try {
        for (const event of await withArchived(deps, own, withBlobs)) filled.set(event.id, event)
      } catch (error) {
        if (!(error instanceof DomainError)) throw error
        if (error.code === 'RESTORE_REQUIRED') cold.push(...(error.details.archiveObjectIds ?? []))
        else away.set(region, error)
      }
    }),
  )
  if (cold.length > 0) throw restoreRequired(cold)
  return {
    events: events.flatMap(({ id }) => filled.get(id) ?? []),
    answers: answers.map((answer) =>
      away.has(answer.region) ? { ...unavailable(answer), cause: away.get(answer.region) } : answer,
    ),
  }
}

const unavailable = ({ region, latencyMs }: RegionAnswer<unknown>) =>
  ({ region, latencyMs, status: 'UNAVAILABLE', servedBy: null, reason: 'unreachable' }) as const

/** The refusal to answer from an object that is not what was written. */
export const archiveDamaged = (region: Region): DomainError =>
  new DomainError('REGION_UNAVAILABLE', 'An archive object is not what was written; the operators have been told.', {
    details: { regions: [region] },
  })

/** The refusal to read cold objects. Ids are those of the API. */
export const restoreRequired = (archiveObjectIds: readonly string[]): DomainError =>
  new DomainError(
    'RESTORE_REQUIRED',
    'The events are in cold archive objects: ask for their restore with requestRestore, and again when they are RESTORED.',
    { details: { archiveObjectIds } },
  )
