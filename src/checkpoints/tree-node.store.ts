import type { Transaction } from '../db/database.js'
import type { NodeRange, NodeReader } from '../ledger/proof.js'

const HASH_BYTES = 32

// Leaves are the hashes of events, archived ones too. A range is one row, its hashes one after another.
const nodesSql = `
select r.ordinal, case when r.level = 0
    then (select string_agg(e.hash, ''::bytea order by e.sequence) from stored_event e
          where e.workspace_id = $1 and e.sequence > r.first and e.sequence <= r.last)
    else (select string_agg(n.hash, ''::bytea order by n.index) from merkle_node n
          where n.workspace_id = $1 and n.level = r.level and n.index >= r.first and n.index < r.last)
  end as hashes
from unnest($2::smallint[], $3::bigint[], $4::bigint[]) with ordinality as r (level, first, last, ordinal)
order by r.ordinal`

/** Reads the stored nodes of a workspace's tree: one statement for a whole proof. */
export function treeNodeReader(tx: Transaction, workspaceId: string): NodeReader {
  return async (ranges: readonly NodeRange[]) => {
    const rows = await tx.query<{ hashes: Buffer | null }>(
      nodesSql,
      [workspaceId, ranges.map(({ level }) => level), ranges.map(({ from }) => from), ranges.map(({ to }) => to)],
      'read_tree_nodes',
    )
    return rows.map(({ hashes }) => (hashes === null ? [] : split(hashes)))
  }
}

const split = (hashes: Buffer): Buffer[] =>
  Array.from({ length: hashes.length / HASH_BYTES }, (_, at) => hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES))
