import type { Database, Transaction } from '../db/database.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'

const TIMEOUT_MS = 5_000

/** A chain of the admin log as the one who signs its tree sees it. */
export interface AdminChainToSign {
  readonly sequence: number
  /** Roots of the perfect subtrees, largest first. */
  readonly frontier: Buffer
  /** The newest checkpoint, with the frontier its root was made of; null: it was never signed. */
  readonly checkpoint: (SignedCheckpoint & { readonly frontier: Buffer }) | null
}

/** The chains that have grown since they were signed, UUIDs. Throws DatabaseError. */
export async function listUnsignedAdminChains(control: Database): Promise<string[]> {
  const rows = await control.query<{ chain_id: string }>(
    `select h.chain_id from admin_chain h left join admin_checkpoint c on c.chain_id = h.chain_id
     where h.sequence > coalesce(c.tree_size, 0) order by h.chain_id`,
    [],
    { timeoutMs: TIMEOUT_MS },
  )
  return rows.map((row) => row.chain_id)
}

/** Head and newest checkpoint of a chain, as one snapshot; null where nothing was written in it yet. */
export async function readAdminChainToSign(tx: Transaction, chainId: string): Promise<AdminChainToSign | null> {
  const [row] = await tx.query<{
    sequence: string
    head_frontier: Buffer
    tree_size: string | null
    root_hash: Buffer
    note: string
    signed_at: Date
    frontier: Buffer
  }>(
    `select h.sequence, h.frontier as head_frontier, c.tree_size, c.root_hash, c.note, c.signed_at, c.frontier
     from admin_chain h left join admin_checkpoint c on c.chain_id = h.chain_id
     where h.chain_id = $1 and h.sequence > 0`,
    [chainId],
    'admin_chain_to_sign',
  )
  if (row === undefined) return null
  const { tree_size: size, root_hash: rootHash, note, signed_at: signedAt, frontier } = row
  return {
    sequence: Number(row.sequence),
    frontier: row.head_frontier,
    checkpoint:
      size === null
        ? null
        : { workspaceId: chainId, companyId: chainId, treeSize: Number(size), rootHash, note, signedAt, frontier },
  }
}

/** The hashes of the entries after one sequence up to another, in order. */
export async function readAdminHashes(
  tx: Transaction,
  chainId: string,
  after: number,
  upTo: number,
): Promise<readonly Buffer[]> {
  const rows = await tx.query<{ hash: Buffer }>(
    'select hash from admin_event where chain_id = $1 and sequence > $2 and sequence <= $3 order by sequence',
    [chainId, after, upTo],
    'admin_hashes',
  )
  return rows.map((row) => row.hash)
}

/** Stores a checkpoint, unless there is one as large already. */
export async function storeAdminCheckpoint(
  tx: Transaction,
  { workspaceId, treeSize, rootHash, note, signedAt }: SignedCheckpoint,
  frontier: Buffer,
): Promise<void> {
  await tx.query(
    `insert into admin_checkpoint as c (chain_id, tree_size, root_hash, note, signed_at, frontier)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (chain_id) do update set tree_size = excluded.tree_size, root_hash = excluded.root_hash,
       note = excluded.note, signed_at = excluded.signed_at, frontier = excluded.frontier
     where c.tree_size < excluded.tree_size`,
    [workspaceId, treeSize, rootHash, note, signedAt, frontier],
    'admin_checkpoint_store',
  )
}
