import type { Transaction } from '../db/database.js'

/** The end of a chain of the admin log, as a locked row says. */
export interface AdminChainHead {
  readonly chainId: string
  readonly term: number
  readonly sequence: number
  readonly hash: Buffer
  readonly frontier: Buffer
}

/** An event with its place in a chain. */
export interface LinkedAdminEvent {
  readonly chainId: string
  readonly sequence: number
  readonly id: string
  readonly term: number
  readonly body: Buffer
  readonly prevHash: Buffer
  readonly hash: Buffer
  readonly occurredAt: Date
  readonly action: string
  readonly category: string
  readonly targetType: string | null
  readonly disclosures: Buffer
}

interface HeadRow {
  readonly chain_id: string
  readonly term: number
  readonly sequence: string
  readonly hash: Buffer
  readonly frontier: Buffer
}

/**
 * Locks the heads of these chains, making those that are not there yet, until the transaction ends. In the order of
 * their ids, so that two transactions never wait for each other in a circle.
 */
export async function lockAdminChains(tx: Transaction, chainIds: readonly string[]): Promise<AdminChainHead[]> {
  const sorted = [...chainIds].sort()
  await tx.query(
    'insert into admin_chain (chain_id) select * from unnest($1::uuid[]) on conflict do nothing',
    [sorted],
    'admin_chain_create',
  )
  const rows = await tx.query<HeadRow>(
    `select chain_id, term, sequence, hash, frontier from admin_chain
     where chain_id = any ($1::uuid[]) order by chain_id for update`,
    [sorted],
    'admin_chain_lock',
  )
  return rows.map((row) => ({
    chainId: row.chain_id,
    term: row.term,
    sequence: Number(row.sequence),
    hash: row.hash,
    frontier: row.frontier,
  }))
}

/** Moves a head. The caller holds it. */
export async function moveAdminChain(tx: Transaction, head: AdminChainHead): Promise<void> {
  await tx.query(
    'update admin_chain set sequence = $2, hash = $3, frontier = $4, updated_at = now() where chain_id = $1',
    [head.chainId, head.sequence, head.hash, head.frontier],
    'admin_chain_move',
  )
}

export async function insertAdminEvent(tx: Transaction, event: LinkedAdminEvent): Promise<void> {
  await tx.query(
    `insert into admin_event (chain_id, sequence, id, term, body, prev_hash, hash, occurred_at, action, category,
       target_type, disclosures)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    [
      event.chainId,
      event.sequence,
      event.id,
      event.term,
      event.body,
      event.prevHash,
      event.hash,
      event.occurredAt,
      event.action,
      event.category,
      event.targetType,
      event.disclosures,
    ],
    'admin_event_insert',
  )
}
