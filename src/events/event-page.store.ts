import type { Transaction } from '../db/database.js'
import type { KeysetPosition } from '../kernel/cursor.js'
import type { Region } from '../kernel/region.js'
import type { AuditEvent } from './audit-event.js'
import { filterSql, type WorkspaceWindow } from './event-conditions.js'
import type { EventFilter } from './event-filter.js'

export interface EventPageRequest {
  readonly workspaces: readonly WorkspaceWindow[]
  readonly filter: EventFilter
  /** `older`: from the newest, or from `position`, towards older ones. `newer`: the other way. */
  readonly direction: 'older' | 'newer'
  /** Exclusive; null: from the end of the list. */
  readonly position: KeysetPosition | null
  /** At most this many events are returned. */
  readonly limit: number
  /** False leaves the sealed blobs out, where nothing in them was asked for. */
  readonly withBlobs: boolean
}

interface EventRow {
  readonly id: string
  readonly company_id: string
  readonly workspace_id: string
  readonly project_id: string | null
  readonly sequence: string
  readonly action: string
  readonly category: string
  readonly target_type: string | null
  readonly occurred_at: Date
  readonly received_at: Date
  readonly hash: Buffer
  readonly prev_hash: Buffer
  readonly erased_at: Date | null
  readonly identity_blob?: Buffer | null
  readonly content_blob?: Buffer | null
}

const columns =
  'id, company_id, workspace_id, project_id, sequence, action, category, target_type, occurred_at, received_at, hash, prev_hash, erased_at'
const blobColumns = 'identity_blob, content_blob'

// The limit stands in the text: a plan made for an unknown limit sorts a tenth of the table instead of walking the
// index. A few sizes, so that the statements prepared per connection stay few.
const limitSteps = [2, 11, 21, 51, 101, 201, 501]

const toAuditEvent = (row: EventRow, region: Region): AuditEvent => ({
  id: row.id,
  region,
  companyId: row.company_id,
  workspaceId: row.workspace_id,
  projectId: row.project_id,
  action: row.action,
  category: row.category,
  targetType: row.target_type,
  occurredAt: row.occurred_at,
  receivedAt: row.received_at,
  sequence: Number(row.sequence),
  hash: row.hash,
  prevHash: row.sequence === '1' ? null : row.prev_hash,
  erasedAt: row.erased_at,
  identityBlob: row.identity_blob ?? null,
  contentBlob: row.content_blob ?? null,
})

/** The statement that answers a request: text, values, and a name that is the same for the same text. */
export function eventPageStatement(request: EventPageRequest): { sql: string; values: unknown[]; name: string } {
  const { filter, workspaces, direction, position, limit, withBlobs } = request
  const step = limitSteps.find((size) => size >= limit)
  if (step === undefined) throw new RangeError(`a page of ${limit} is beyond the largest`)
  const { sources, conditions, values: filterValues, shape } = filterSql(filter, workspaces)
  const values = [...filterValues]
  let after = ''
  if (position !== null) {
    const time = values.push(new Date(position.timeMs).toISOString())
    const id = values.push(position.uuid)
    after = ` and (occurred_at, id) ${direction === 'older' ? '<' : '>'} ($${time}::timestamptz, $${id}::uuid)`
  }
  const order = direction === 'older' ? 'occurred_at desc, id desc' : 'occurred_at, id'
  const selected = withBlobs ? `${columns}, ${blobColumns}` : columns
  const sql = `select e.* from ${sources} cross join lateral (
    select ${selected} from event where ${conditions}${after} order by ${order} limit ${step}
  ) e order by ${order} limit ${step}`
  const name = `events_${direction}_${step}_${shape}_${position === null ? '' : 'k'}${withBlobs ? 'b' : ''}`
  return { sql, values, name }
}

/** Events of one region in the order of the direction asked for, at most `limit`. */
export async function readEventPage(tx: Transaction, region: Region, request: EventPageRequest): Promise<AuditEvent[]> {
  const { sql, values, name } = eventPageStatement(request)
  const rows = await tx.query<EventRow>(sql, values, name)
  return rows.slice(0, request.limit).map((row) => toAuditEvent(row, region))
}

/** One event of the companies the transaction sees, or null. */
export async function findEvent(tx: Transaction, region: Region, id: string): Promise<AuditEvent | null> {
  const rows = await tx.query<EventRow>(
    `select ${columns}, ${blobColumns} from event where id = $1::uuid`,
    [id],
    'event_by_id',
  )
  return rows[0] === undefined ? null : toAuditEvent(rows[0], region)
}
