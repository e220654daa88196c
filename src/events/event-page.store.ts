import type { DirectTransaction } from '../db/database.js'
import { bytesFromText, instantFromText, type TextRow } from '../db/text-row.js'
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

const columns =
  'id, company_id, workspace_id, project_id, sequence, action, category, target_type, occurred_at, received_at, hash, prev_hash, erased_at'
const blobColumns = 'actor_pseudonym, identity_blob, content_blob'

// The limit stands in the text: a plan made for an unknown limit sorts a tenth of the table instead of walking the
// index. A few sizes, so that the statements prepared per connection stay few.
const limitSteps = [2, 11, 21, 51, 101, 201, 501]

const orNull = <T>(text: string | null | undefined, decode: (text: string) => T): T | null =>
  text === null || text === undefined ? null : decode(text)

// Where archives are asked for too. An archived event's own columns for blobs are null: they are in its object.
const everywhereColumns = `${columns}, ${blobColumns}, object_id`

/** An event as its region's database sent it. What merging needs is decoded when asked for, all else by `decode`. */
export class StoredEvent {
  readonly #row: TextRow
  readonly #region: Region
  #occurredAt: Date | undefined

  constructor(row: TextRow, region: Region) {
    this.#row = row
    this.#region = region
  }

  get id(): string {
    return this.#row[0]!
  }

  get occurredAt(): Date {
    return (this.#occurredAt ??= instantFromText(this.#row[8]!))
  }

  decode(): AuditEvent {
    const row = this.#row
    const sequence = Number(row[4])
    return {
      id: this.id,
      region: this.#region,
      companyId: row[1]!,
      workspaceId: row[2]!,
      projectId: row[3] ?? null,
      sequence,
      action: row[5]!,
      category: row[6]!,
      targetType: row[7] ?? null,
      occurredAt: this.occurredAt,
      receivedAt: instantFromText(row[9]!),
      hash: bytesFromText(row[10]!),
      prevHash: sequence === 1 ? null : bytesFromText(row[11]!),
      erasedAt: orNull(row[12], instantFromText),
      actorPseudonym: orNull(row[13], bytesFromText),
      identityBlob: orNull(row[14], bytesFromText),
      contentBlob: orNull(row[15], bytesFromText),
      archiveObjectId: row[16] ?? null,
    }
  }
}

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
  const everywhere = filter.includeArchived
  const selected = everywhere ? everywhereColumns : withBlobs ? `${columns}, ${blobColumns}` : columns
  const walk = `select ${selected} from ${everywhere ? 'stored_event' : 'event'} where ${conditions}${after} order by ${order} limit ${step}`
  const sql =
    sources === null
      ? walk
      : `select e.* from ${sources} cross join lateral (${walk}) e order by ${order} limit ${step}`
  const name = `events_${direction}_${step}_${shape}_${position === null ? '' : 'k'}${everywhere ? 'a' : withBlobs ? 'b' : ''}`
  return { sql, values, name }
}

/** Events of one region in the order of the direction asked for, at most `limit`. */
export async function readEventPage(
  tx: DirectTransaction,
  region: Region,
  request: EventPageRequest,
): Promise<StoredEvent[]> {
  const { sql, values, name } = eventPageStatement(request)
  const rows = await tx.lastTexts(sql, values, name)
  return rows.slice(0, request.limit).map((row) => new StoredEvent(row, region))
}

/** One event of the companies the transaction sees, archived or not, or null. */
export async function findEvent(tx: DirectTransaction, region: Region, id: string): Promise<AuditEvent | null> {
  const [row] = await tx.lastTexts(
    `select ${everywhereColumns} from stored_event where id = $1::uuid`,
    [id],
    'event_by_id',
  )
  return row === undefined ? null : new StoredEvent(row, region).decode()
}
