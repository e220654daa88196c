import type { Pool } from 'pg'
import { bodyHash, CompactRange, linkHash, ZERO_HASH } from '../../src/ledger/index.js'
import type { StoredEvent } from './check-streams.js'

const rowsPerPage = 5_000

/** A checkpoint that somebody keeps: the home region, its history, the next region, or control. */
export interface KeptCheckpoint {
  readonly place: string
  readonly size: number
  readonly root: Buffer
}

interface Row {
  readonly sequence: string
  readonly id: string
  readonly action: string
  readonly term: number
  readonly body: Buffer
  readonly prev_hash: Buffer
  readonly hash: Buffer
}

export interface ChainCheck {
  readonly events: readonly StoredEvent[]
  /** What does not fit, in words; the first of each sort. */
  readonly faults: readonly string[]
}

/**
 * Reads a chain past the service, as superuser, and computes it anew: sequences without a gap, links, head, frontier,
 * and the root that every kept checkpoint should have.
 */
export async function checkChain(
  server: Pool,
  workspaceId: string,
  checkpoints: readonly KeptCheckpoint[],
): Promise<ChainCheck> {
  const faults = new Map<string, string>()
  const fault = (sort: string, what: string): void => {
    if (!faults.has(sort)) faults.set(sort, what)
  }
  const events: StoredEvent[] = []
  const range = CompactRange.empty()
  const bySize = Map.groupBy(checkpoints, ({ size }) => size)
  let prevHash: Buffer = ZERO_HASH
  for (let after = 0; ;) {
    const { rows } = await server.query<Row>(
      `select sequence, id, action, term, body, prev_hash, hash from event
       where workspace_id = $1 and sequence > $2 order by sequence limit ${rowsPerPage}`,
      [workspaceId, after],
    )
    for (const row of rows) {
      const sequence = Number(row.sequence)
      if (sequence !== events.length + 1) fault('gap', `sequence ${events.length + 1} is ${sequence}`)
      if (!row.prev_hash.equals(prevHash)) fault('link', `the link before ${sequence} leads elsewhere`)
      const hash = linkHash({ term: row.term, workspaceId, sequence, prevHash, bodyHash: bodyHash(row.body) })
      if (!row.hash.equals(hash)) fault('hash', `the hash of ${sequence} is another`)
      range.append(hash)
      for (const { place, root } of bySize.get(sequence) ?? [])
        if (!range.root().equals(root))
          fault('checkpoint', `the checkpoint of size ${sequence} in ${place} contradicts`)
      prevHash = hash
      events.push({ id: row.id, sequence, action: row.action })
      after = sequence
    }
    if (rows.length < rowsPerPage) break
  }
  for (const { place, size } of checkpoints)
    if (size > events.length)
      fault('behind', `the checkpoint in ${place} is of size ${size}, of which ${events.length} are left`)
  const { rows: heads } = await server.query<{ sequence: string; hash: Buffer; frontier: Buffer }>(
    'select sequence, hash, frontier from chain_head where workspace_id = $1',
    [workspaceId],
  )
  const [head] = heads
  if (Number(head?.sequence ?? 0) !== events.length)
    fault('head', `the head stands at ${head?.sequence ?? 0} of ${events.length}`)
  else if (head !== undefined && !(head.hash.equals(prevHash) && head.frontier.equals(range.toBytes())))
    fault('head', 'the head has another hash or frontier')
  return { events, faults: [...faults.values()] }
}
