import type { Database } from '../db/database.js'
import type { JsonValue } from '../kernel/canonical-json.js'
import type { KeysetPosition } from '../kernel/cursor.js'
import { type Disclosure, fieldsOf } from '../ledger/index.js'
import { type AdminEvent, GLOBAL_CHAIN_ID } from './admin-entry.js'

const TIMEOUT_MS = 5_000

interface AdminEventRow {
  readonly id: string
  readonly chain_id: string
  readonly sequence: string
  readonly occurred_at: Date
  readonly action: string
  readonly category: string
  readonly target_type: string | null
  readonly disclosures: Buffer
  readonly hash: Buffer
  readonly prev_hash: Buffer
}

export interface AdminEventPageRequest {
  /** Null: the chain of what concerns no company. */
  readonly companyId: string | null
  /** `older`: from the newest, or from `position`, towards older ones. */
  readonly direction: 'older' | 'newer'
  readonly position: KeysetPosition | null
  readonly limit: number
}

/** Events of one chain in the order of the direction asked for. Throws DatabaseError. */
export async function readAdminEvents(control: Database, request: AdminEventPageRequest): Promise<AdminEvent[]> {
  const { companyId, direction, position, limit } = request
  const values: unknown[] = [companyId ?? GLOBAL_CHAIN_ID, limit]
  let after = ''
  if (position !== null) {
    values.push(new Date(position.timeMs), position.uuid)
    after = ` and (occurred_at, id) ${direction === 'older' ? '<' : '>'} ($3::timestamptz, $4::uuid)`
  }
  const order = direction === 'older' ? 'occurred_at desc, id desc' : 'occurred_at, id'
  const rows = await control.query<AdminEventRow>(
    `select id, chain_id, sequence, occurred_at, action, category, target_type, disclosures, hash, prev_hash
     from admin_event where chain_id = $1${after} order by ${order} limit $2`,
    values,
    { timeoutMs: TIMEOUT_MS },
  )
  return rows.map(adminEventOf)
}

/** How many events a chain has: its last sequence. */
export async function countAdminEvents(control: Database, companyId: string | null): Promise<number> {
  const rows = await control.query<{ sequence: string }>(
    'select sequence from admin_chain where chain_id = $1',
    [companyId ?? GLOBAL_CHAIN_ID],
    { timeoutMs: TIMEOUT_MS },
  )
  return Number(rows[0]?.sequence ?? 0)
}

/** What `admin_event.disclosures` holds. Throws where it holds something else. */
export function disclosuresOfAdminEvent(stored: Buffer): Disclosure[] {
  const disclosures = JSON.parse(stored.toString('utf8')) as [string, JsonValue, string][]
  return disclosures.map(([path, value, salt]) => ({ path, value, salt: Buffer.from(salt, 'hex') }))
}

function adminEventOf(row: AdminEventRow): AdminEvent {
  const fields = fieldsOf(disclosuresOfAdminEvent(row.disclosures))
  const { target_type: type } = row
  return {
    id: row.id,
    companyId: row.chain_id === GLOBAL_CHAIN_ID ? null : row.chain_id,
    sequence: Number(row.sequence),
    occurredAt: row.occurred_at,
    action: row.action,
    category: row.category,
    actorId: fields.actor?.id ?? null,
    target: type === null || fields.targetId === null ? null : { type, id: fields.targetId },
    payload: fields.payload,
    hash: row.hash,
    prevHash: row.sequence === '1' ? null : row.prev_hash,
  }
}
