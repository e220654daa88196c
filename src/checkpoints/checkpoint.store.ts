import type { Transaction } from '../db/database.js'
import { byteaArray, bigintArray, textArray, timestampArray, uuidArray } from '../events/binary-array.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'

/** A chain as the one who signs its tree sees it. */
export interface ChainState {
  readonly workspaceId: string
  readonly companyId: string
  /** The tree's size. */
  readonly sequence: number
  /** Roots of the perfect subtrees, largest first. */
  readonly frontier: Buffer
  readonly checkpoint: SignedCheckpoint | null
}

/** {@link ChainState}, and the body of the newest event that announces another signing key. */
export interface ChainToSign extends ChainState {
  readonly keyEventBody: Buffer | null
}

interface CheckpointRow {
  readonly workspace_id: string
  readonly company_id: string
  readonly tree_size: string
  readonly root_hash: Buffer
  readonly note: string
  readonly signed_at: Date
}

interface ChainRow extends Partial<Omit<CheckpointRow, 'workspace_id' | 'company_id'>> {
  readonly workspace_id: string
  readonly company_id: string
  readonly sequence: string
  readonly frontier: Buffer
  readonly tree_size: string
  readonly key_event: Buffer | null
}

export const toCheckpoint = (row: CheckpointRow): SignedCheckpoint => ({
  workspaceId: row.workspace_id,
  companyId: row.company_id,
  treeSize: Number(row.tree_size),
  rootHash: row.root_hash,
  note: row.note,
  signedAt: row.signed_at,
})

const toChain = (row: ChainRow): ChainState => ({
  workspaceId: row.workspace_id,
  companyId: row.company_id,
  sequence: Number(row.sequence),
  frontier: row.frontier,
  checkpoint: row.note === undefined || row.note === null ? null : toCheckpoint(row as unknown as CheckpointRow),
})

/** Lets the transaction read sizes and checkpoints of every tenant: for what looks after a region as a whole. */
export async function seeAllTenants(tx: Transaction): Promise<void> {
  await tx.query("select set_config('app.across_tenants', 'on', true)", [], 'see_all_tenants')
}

const chainColumns =
  'h.workspace_id, h.company_id, h.sequence, h.frontier, c.tree_size, c.root_hash, c.note, c.signed_at'

/** The chains that are there, of the companies the transaction sees, as one snapshot. */
export async function readChainsToSign(tx: Transaction, workspaceIds: readonly string[]): Promise<ChainToSign[]> {
  // In the order of the index on actions: sorted by sequence, the planner might walk a whole chain backwards.
  const rows = await tx.query<ChainRow>(
    `select ${chainColumns}, k.body as key_event
     from chain_head h left join checkpoint c on c.workspace_id = h.workspace_id
     left join lateral (
       select e.body from stored_event e
       where e.workspace_id = h.workspace_id and e.action = 'ledger.key' and e.category = 'system'
       order by e.occurred_at desc, e.id desc limit 1
     ) k on true
     where h.workspace_id = any ($1::uuid[]) and h.sequence > 0`,
    [uuidArray(workspaceIds)],
    'chains_to_sign',
  )
  return rows.map((row) => ({ ...toChain(row), keyEventBody: row.key_event }))
}

/** Chains of all tenants ({@link seeAllTenants}) by workspace, after one of them. */
export async function readChainPage(tx: Transaction, after: string | null, limit: number): Promise<ChainState[]> {
  const rows = await tx.query<ChainRow>(
    `select ${chainColumns} from chain_head h left join checkpoint c on c.workspace_id = h.workspace_id
     where h.workspace_id > $1 and h.sequence > 0 order by h.workspace_id limit $2`,
    [after ?? '00000000-0000-0000-0000-000000000000', limit],
    'chain_page',
  )
  return rows.map(toChain)
}

/** The sizes of chains of all tenants ({@link seeAllTenants}); chains that are not there are left out. */
export async function readChainsById(tx: Transaction, workspaceIds: readonly string[]): Promise<ChainState[]> {
  const rows = await tx.query<ChainRow>(
    `select ${chainColumns} from chain_head h left join checkpoint c on c.workspace_id = h.workspace_id
     where h.workspace_id = any ($1::uuid[])`,
    [uuidArray(workspaceIds)],
    'chains_by_id',
  )
  return rows.map(toChain)
}

/** The newest checkpoint of a chain of the companies the transaction sees, or null. */
export async function findCheckpoint(tx: Transaction, workspaceId: string): Promise<SignedCheckpoint | null> {
  const rows = await tx.query<CheckpointRow>(
    'select workspace_id, company_id, tree_size, root_hash, note, signed_at from checkpoint where workspace_id = $1',
    [workspaceId],
    'find_checkpoint',
  )
  return rows[0] === undefined ? null : toCheckpoint(rows[0])
}

/** The size of a chain's tree; 0 where nothing was recorded yet. */
export async function findTreeSize(tx: Transaction, workspaceId: string): Promise<number> {
  const rows = await tx.query<{ sequence: string }>(
    'select sequence from chain_head where workspace_id = $1',
    [workspaceId],
    'find_tree_size',
  )
  return Number(rows[0]?.sequence ?? 0)
}

/** The columns that {@link checkpointValues} fills. */
export const checkpointColumns = 'workspace_id, company_id, tree_size, root_hash, note, signed_at'

/** Checkpoints as the arrays of one `unnest`, in workspace order: two writers never wait for each other in a circle. */
export function checkpointValues(checkpoints: readonly SignedCheckpoint[]): Buffer[] {
  const sorted = [...checkpoints].sort((a, b) => (a.workspaceId < b.workspaceId ? -1 : 1))
  return [
    uuidArray(sorted.map((checkpoint) => checkpoint.workspaceId)),
    uuidArray(sorted.map((checkpoint) => checkpoint.companyId)),
    bigintArray(sorted.map((checkpoint) => checkpoint.treeSize)),
    byteaArray(sorted.map((checkpoint) => checkpoint.rootHash)),
    textArray(sorted.map((checkpoint) => checkpoint.note)),
    timestampArray(sorted.map((checkpoint) => checkpoint.signedAt)),
  ]
}

const storeSql = `
with fresh as (
  select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[], $5::text[], $6::timestamptz[])
    as n (workspace_id, company_id, tree_size, root_hash, note, signed_at)
), stored as (
  insert into checkpoint as c (${checkpointColumns}) select * from fresh
  on conflict (workspace_id) do update set tree_size = excluded.tree_size, root_hash = excluded.root_hash,
    note = excluded.note, signed_at = excluded.signed_at
  where c.tree_size < excluded.tree_size
  returning workspace_id
)
insert into checkpoint_history (${checkpointColumns})
select f.* from fresh f join stored s on s.workspace_id = f.workspace_id
where not exists (
  select from checkpoint_history h where h.workspace_id = f.workspace_id and h.signed_at > f.signed_at - interval '1 minute')
on conflict do nothing`

/** Stores checkpoints, each unless there is one as large already; keeps one a minute for good. */
export async function storeCheckpoints(tx: Transaction, checkpoints: readonly SignedCheckpoint[]): Promise<void> {
  await tx.query(storeSql, checkpointValues(checkpoints), 'store_checkpoints')
}
