import { disclosuresOfAdminEvent } from '../admin-log/admin-event.store.js'
import type { Transaction } from '../db/database.js'
import { type ChainEvent, type Disclosure, fromBytes, utf8Text, ZERO_HASH } from '../ledger/index.js'

/** The end of a chain of the admin log as it is stored. */
export interface AdminChainEnd {
  readonly sequence: number
  readonly hash: Buffer
  readonly frontier: Buffer
  /** The last sequence of its entries. */
  readonly lastSequence: number
}

/** Head and last entry, as one snapshot; null where there is no head. */
export async function readAdminChainEnd(tx: Transaction, chainId: string): Promise<AdminChainEnd | null> {
  const [row] = await tx.query<{ sequence: string; hash: Buffer; frontier: Buffer; last_sequence: string }>(
    `select h.sequence, h.hash, h.frontier,
       coalesce((select max(e.sequence) from admin_event e where e.chain_id = h.chain_id), 0) as last_sequence
     from admin_chain h where h.chain_id = $1`,
    [chainId],
    'admin_chain_end',
  )
  if (row === undefined) return null
  const { hash, frontier } = row
  return { sequence: Number(row.sequence), hash, frontier, lastSequence: Number(row.last_sequence) }
}

interface AdminRow {
  readonly id: string
  readonly sequence: string
  readonly term: number
  readonly body: Buffer
  readonly prev_hash: Buffer
  readonly hash: Buffer
  readonly occurred_at: Date
  readonly action: string
  readonly category: string
  readonly target_type: string | null
  readonly disclosures: Buffer
}

/** The entries after a sequence, in order, as the verifier of the ledger takes them. */
export async function readAdminChainEvents(
  tx: Transaction,
  chainId: string,
  range: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<{ readonly id: string; readonly event: ChainEvent }[]> {
  const rows = await tx.query<AdminRow>(
    `select id, sequence, term, body, prev_hash, hash, occurred_at, action, category, target_type, disclosures
     from admin_event where chain_id = $1 and sequence > $2 and sequence <= $3 order by sequence limit $4`,
    [chainId, range.after, range.upTo, range.limit],
    'admin_chain_events',
  )
  return rows.map((row) => ({ id: row.id, event: chainEventOf(chainId, row) }))
}

/** What stands for disclosures that can't be read: it gives no digest of any body. */
const unreadable: Disclosure = { path: '', value: null, salt: Buffer.alloc(0) }

function chainEventOf(chainId: string, row: AdminRow): ChainEvent {
  const sequence = Number(row.sequence)
  const at = Number.isNaN(row.occurred_at.getTime()) ? '' : row.occurred_at.toISOString()
  return {
    sequence,
    term: row.term,
    body: utf8Text(row.body) ?? '',
    prevHash: sequence === 1 && row.prev_hash.equals(ZERO_HASH) ? null : fromBytes(row.prev_hash),
    hash: fromBytes(row.hash),
    disclosures: disclosuresOf(row.disclosures),
    tombstones: [],
    columns: {
      id: row.id,
      workspace: chainId,
      company: chainId,
      project: null,
      action: row.action,
      category: row.category,
      targetType: row.target_type,
      occurredAt: at,
      receivedAt: at,
    },
  }
}

function disclosuresOf(stored: Buffer): readonly Disclosure[] {
  try {
    return disclosuresOfAdminEvent(stored)
  } catch {
    // Not as we write them: whatever they are, they are not what the body commits to.
    return [unreadable]
  }
}
