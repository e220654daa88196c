import type { DirectTransaction } from '../db/database.js'
import { bytesFromText, instantFromText, type TextRow } from '../db/text-row.js'
import type { KeysetPosition } from '../kernel/cursor.js'
import { regionUnavailable } from '../kernel/domain-error.js'
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

/** Where an event lives, and the region whose database it was read from. */
export interface EventPlace {
  readonly region: Region
  readonly servedBy: Region
}

/** An event as its region's database sent it. What merging needs is decoded when asked for, all else by `decode`. */
export class StoredEvent {
  readonly #row: TextRow
  readonly #place: EventPlace
  #occurredAt: Date | undefined
  #receivedAt: Date | undefined
  #event: AuditEvent | undefined

  constructor(row: TextRow, place: EventPlace) {
    this.#row = row
    this.#place = place
  }

  get id(): string {
    return this.#row[0]!
  }

  get occurredAt(): Date {
    return (this.#occurredAt ??= instantFromText(this.#row[8]!))
  }

  get workspaceId(): string {
    return this.#row[2]!
  }

  get receivedAt(): Date {
    return (this.#receivedAt ??= instantFromText(this.#row[9]!))
  }

  /** The event, which is the same object each time: a page may be shown more than once. */
  decode(): AuditEvent {
    return (this.#event ??= this.#decoded())
  }

  #decoded(): AuditEvent {
    const row = this.#row
    const sequence = Number(row[4])
    return {
      id: this.id,
      ...this.#place,
      companyId: row[1]!,
      workspaceId: this.workspaceId,
      projectId: row[3] ?? null,
      sequence,
      action: row[5]!,
      category: row[6]!,
      targetType: row[7] ?? null,
      occurredAt: this.occurredAt,
      receivedAt: this.receivedAt,
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

/** What a page is read with. */
export const pageColumns = (withBlobs: boolean): string => (withBlobs ? `${columns}, ${blobColumns}` : columns)

interface Statement {
  readonly sql: string
  readonly values: unknown[]
  readonly name: string
}

const orderOf = ({ direction }: EventPageRequest): string =>
  direction === 'older' ? 'occurred_at desc, id desc' : 'occurred_at, id'

/** The statement that answers a request: text, values, and a name that is the same for the same text. */
export function eventPageStatement(request: EventPageRequest): Statement {
  return pageStatement(request)
}

/** With `known` the conditions end with one that concerns no event: where it does not hold, none is looked at. */
function pageStatement(request: EventPageRequest, known?: { readonly version: string | null }): Statement {
  const { filter, workspaces, direction, position, limit, withBlobs } = request
  const step = limitSteps.find((size) => size >= limit)
  if (step === undefined) throw new RangeError(`a page of ${limit} is beyond the largest`)
  const { sources, conditions, values: filterValues, shape } = filterSql(filter, workspaces)
  const values = [...filterValues]
  let after = ''
  if (known !== undefined)
    after = ` and (select version from state) is distinct from $${values.push(known.version)}::text`
  if (position !== null) {
    const time = values.push(new Date(position.timeMs).toISOString())
    const id = values.push(position.uuid)
    after += ` and (occurred_at, id) ${direction === 'older' ? '<' : '>'} ($${time}::timestamptz, $${id}::uuid)`
  }
  const order = orderOf(request)
  const everywhere = filter.includeArchived
  const selected = everywhere ? everywhereColumns : pageColumns(withBlobs)
  const walk = `select ${selected} from ${everywhere ? 'stored_event' : 'event'} where ${conditions}${after} order by ${order} limit ${step}`
  const sql =
    sources === null
      ? walk
      : `select e.* from ${sources} cross join lateral (${walk}) e order by ${order} limit ${step}`
  const name = `events_${direction}_${step}_${shape}_${position === null ? '' : 'k'}${everywhere ? 'a' : withBlobs ? 'b' : ''}`
  return { sql, values, name }
}

/** A page and the state of the chains that it shows. */
export interface VersionedRows {
  readonly version: string
  readonly rows: readonly TextRow[]
}

// Whatever changes what a page shows moves a head in the same transaction: events are appended, and an erasure appends
// the event that says so. A hash of the heads is thus the version of every page of these chains.
const versionSql = `select coalesce(encode(sha256(string_agg(uuid_send(workspace_id) || int8send(sequence) || hash, ''::bytea
    order by workspace_id)), 'hex'), 'none') as version from chain_head where workspace_id`

/** {@link eventPageStatement} with the version in front of each row; one row without an event where it is `known`. */
export function versionedPageStatement(
  request: EventPageRequest & { readonly position: null },
  known: string | null,
): Statement {
  const { sql, values, name } = pageStatement(request, { version: known })
  const heads = `${versionSql} ${request.workspaces.length === 1 ? '= $1::uuid' : '= any ($1::uuid[])'}`
  return {
    sql: `with state as materialized (${heads}) select state.version, e.* from state left join lateral (${sql}) e on true
      order by ${orderOf(request)}`,
    values,
    name: `${name}v`,
  }
}

/**
 * The first events of one region as {@link readEventPage} reads them, with their version; null where that is `known`. In
 * one statement, so that both are of one moment.
 */
export async function readVersionedPage(
  tx: DirectTransaction,
  request: EventPageRequest & { readonly position: null },
  known: string | null,
): Promise<VersionedRows | null> {
  const { sql, values, name } = versionedPageStatement(request, known)
  const found = await tx.lastTexts(sql, values, name)
  const version = found[0]![0]!
  if (version === known) return null
  const rows = found.filter((row) => row[1] !== null).slice(0, request.limit)
  return { version, rows: rows.map((row) => row.slice(1)) }
}

/**
 * Events of one region in the order of the direction asked for, at most `limit`. REGION_UNAVAILABLE where archives are
 * asked for and only a replica answers.
 */
export async function readEventPage(
  tx: DirectTransaction,
  place: EventPlace,
  request: EventPageRequest,
): Promise<StoredEvent[]> {
  // A replica has no archives: what it could answer would leave events out, and nobody would know.
  if (request.filter.includeArchived && place.servedBy !== place.region) throw regionUnavailable(place.region)
  const { sql, values, name } = eventPageStatement(request)
  const rows = await tx.lastTexts(sql, values, name)
  return rows.slice(0, request.limit).map((row) => new StoredEvent(row, place))
}

/** One event of the companies the transaction sees, archived or not, by any id that was answered for it, or null. */
export async function findEvent(tx: DirectTransaction, place: EventPlace, id: string): Promise<AuditEvent | null> {
  const [row] = await tx.lastTexts(
    `select ${everywhereColumns} from stored_event
     where id = any (array[$1::uuid, (select a.event_id from event_alias a where a.id = $1::uuid)])`,
    [id],
    'event_by_id',
  )
  return row === undefined ? null : new StoredEvent(row, place).decode()
}
