import type { Transaction } from '../db/database.js'
import { uuidArray } from '../events/binary-array.js'
import type { Region } from '../kernel/region.js'
import { checkpointColumns, checkpointValues, toCheckpoint } from './checkpoint.store.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'

/** A checkpoint kept outside the home region of its chain. */
export interface CheckpointCopy extends SignedCheckpoint {
  readonly homeRegion: Region
}

/** The tables that hold copies: one in control, one of the same columns in each region. */
export const copyTables = { control: 'checkpoint_copy', region: 'foreign_checkpoint' } as const
export type CopyTable = (typeof copyTables)[keyof typeof copyTables]

/** A page of chains has fewer; only a region that lost most of its chains leaves more than this over. */
const RANGE_ROWS_MAX = 10_000

type CopyRow = Parameters<typeof toCheckpoint>[0] & { readonly home_region: Region }

const toCopy = (row: CopyRow): CheckpointCopy => ({ ...toCheckpoint(row), homeRegion: row.home_region })

/** The copies of these workspaces that are there. */
export async function readCopies(
  tx: Transaction,
  table: CopyTable,
  workspaceIds: readonly string[],
): Promise<CheckpointCopy[]> {
  const rows = await tx.query<CopyRow>(
    `select home_region, ${checkpointColumns} from ${table} where workspace_id = any ($1::uuid[])`,
    [uuidArray(workspaceIds)],
    `read_${table}`,
  )
  return rows.map(toCopy)
}

/** The copies of a region's chains by workspace, from one (exclusive) to another (inclusive; null: to the end). */
export async function readCopyRange(
  tx: Transaction,
  table: CopyTable,
  home: Region,
  after: string | null,
  upTo: string | null,
): Promise<CheckpointCopy[]> {
  const rows = await tx.query<CopyRow>(
    `select home_region, ${checkpointColumns} from ${table}
     where home_region = $1 and workspace_id > $2 and workspace_id <= $3 order by workspace_id limit ${RANGE_ROWS_MAX}`,
    [home, after ?? '00000000-0000-0000-0000-000000000000', upTo ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    `range_${table}`,
  )
  return rows.map(toCopy)
}

/** Keeps checkpoints, each unless one as large is kept already. */
export async function writeCopies(
  tx: Transaction,
  table: CopyTable,
  home: Region,
  checkpoints: readonly SignedCheckpoint[],
): Promise<void> {
  await tx.query(
    `insert into ${table} as c (home_region, ${checkpointColumns})
     select $7, n.* from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[], $5::text[], $6::timestamptz[]) as n
     on conflict (workspace_id) do update set home_region = excluded.home_region, tree_size = excluded.tree_size,
       root_hash = excluded.root_hash, note = excluded.note, signed_at = excluded.signed_at
     where c.tree_size < excluded.tree_size`,
    [...checkpointValues(checkpoints), home],
    `write_${table}`,
  )
}
