import { stringify } from 'csv-stringify/sync'
import { encodeId, encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { fieldsOf } from '../ledger/disclosure.js'
import type { OpenedEvent } from './open-event.js'

/** The columns of a CSV export, in their order. JSON stands in payload, metadata and changes. */
export const csvColumns = [
  'sequence',
  'id',
  'occurredAt',
  'receivedAt',
  'action',
  'category',
  'actorId',
  'actorEmail',
  'actorName',
  'targetType',
  'targetId',
  'projectId',
  'traceId',
  'payload',
  'metadata',
  'changes',
  'erasedAt',
  'prevHash',
  'hash',
] as const

type CsvRow = Readonly<Record<(typeof csvColumns)[number], string>>

// RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe in front: who opens an export must not
// run what somebody else recorded.
const options = { record_delimiter: '\r\n', escape_formulas: true } as const

/** The first line. */
export const csvHeader = (): string => stringify([[...csvColumns]], options)

/** Events as lines, with what is left of them. */
export const csvLines = (region: Region, events: readonly OpenedEvent[]): string =>
  stringify(
    events.map((event) => rowOf(region, event)),
    { ...options, columns: [...csvColumns] },
  )

const pseudonym = (bytes: Buffer | null): string => (bytes === null ? '' : `anon_${bytes.toString('hex')}`)

const json = (value: unknown): string => (value === null || value === undefined ? '' : JSON.stringify(value))

function rowOf(region: Region, { event, disclosures }: OpenedEvent): CsvRow {
  const { actor, targetId, payload, metadata, changes, traceId } = fieldsOf([...disclosures])
  return {
    sequence: String(event.sequence),
    id: encodeRegionalId('event', region, event.id),
    occurredAt: event.occurredAt.toISOString(),
    receivedAt: event.receivedAt.toISOString(),
    action: event.action,
    category: event.category,
    actorId: actor?.id ?? pseudonym(event.actorPseudonym),
    actorEmail: actor?.email ?? '',
    actorName: actor?.name ?? '',
    targetType: event.targetType ?? '',
    targetId: targetId ?? '',
    projectId: event.projectId === null ? '' : encodeId('project', event.projectId),
    traceId: traceId ?? '',
    payload: json(payload),
    metadata: json(metadata),
    changes: json(changes),
    erasedAt: event.erasedAt?.toISOString() ?? '',
    prevHash: event.sequence === 1 ? '' : event.prevHash.toString('hex'),
    hash: event.hash.toString('hex'),
  }
}
