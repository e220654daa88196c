import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { ChainBreak, ChainState } from '../ledger/index.js'
import type { ChainPlace } from './chain-place.js'

const TIMEOUT_MS = 5_000

/** What verifying a whole chain came to last. */
export type ChainStatus = 'UNVERIFIED' | 'OK' | 'OK_WITH_ERASURES' | 'BROKEN'

export interface KeptVerdict {
  readonly workspaceId: string
  readonly status: ChainStatus
  readonly verifiedAt: Date | null
}

/** A verification of a whole chain that is under way. */
export interface Pass {
  readonly startedAt: Date
  /** `home` is not kept: it follows from the events. */
  readonly state: ChainState
  readonly erasedEvents: number
}

/** A chain to be verified, and how far that has got; null where nothing is under way. */
export interface ChainToVerify extends ChainPlace {
  readonly pass: Pass | null
}

interface ChainRow {
  readonly id: string
  readonly company_id: string
  readonly pass_started_at: Date | null
  readonly pass_sequence: string
  readonly pass_hash: Buffer
  readonly pass_frontier: Buffer
  readonly pass_next_term: string
  readonly pass_erased_events: string
}

/** All chains of a region, those whose last verdict is oldest first. */
export async function listChainsToVerify(control: Database, region: Region): Promise<ChainToVerify[]> {
  const rows = await control.query<ChainRow>(
    `select w.id, w.company_id, v.pass_started_at, v.pass_sequence, v.pass_hash, v.pass_frontier, v.pass_next_term,
       v.pass_erased_events
     from workspace w left join chain_verification v on v.workspace_id = w.id
     where w.data_region = $1 order by v.verified_at nulls first, w.id`,
    [region],
    { name: 'chains_to_verify', timeoutMs: TIMEOUT_MS },
  )
  return rows.map((row) => ({
    id: row.id,
    companyId: row.company_id,
    dataRegion: region,
    pass: row.pass_started_at === null ? null : toPass(row, row.pass_started_at),
  }))
}

const toPass = (row: ChainRow, startedAt: Date): Pass => ({
  startedAt,
  state: {
    workspaceId: row.id,
    sequence: Number(row.pass_sequence),
    hash: row.pass_hash,
    nextTerm: Number(row.pass_next_term),
    home: null,
    frontier: row.pass_frontier,
  },
  erasedEvents: Number(row.pass_erased_events),
})

/** Keeps how far a pass has got. */
export async function keepPass(control: Database, workspaceId: string, pass: Pass): Promise<void> {
  const { sequence, hash, frontier, nextTerm } = pass.state
  await control.query(
    `insert into chain_verification as v (workspace_id, pass_started_at, pass_sequence, pass_hash, pass_frontier,
       pass_next_term, pass_erased_events) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (workspace_id) do update set pass_started_at = excluded.pass_started_at,
       pass_sequence = excluded.pass_sequence, pass_hash = excluded.pass_hash, pass_frontier = excluded.pass_frontier,
       pass_next_term = excluded.pass_next_term, pass_erased_events = excluded.pass_erased_events`,
    [workspaceId, pass.startedAt, sequence, Buffer.from(hash), Buffer.from(frontier), nextTerm, pass.erasedEvents],
    { name: 'keep_pass', timeoutMs: TIMEOUT_MS },
  )
}

/** Keeps the verdict on a whole chain; the pass is over. */
export async function keepVerdict(
  control: Database,
  workspaceId: string,
  verdict: {
    readonly verifiedAt: Date
    readonly toSequence: number
    readonly headHash: Uint8Array | null
    readonly erasedEvents: number
    readonly firstBreak: ChainBreak | null
  },
): Promise<void> {
  const { firstBreak, headHash, erasedEvents } = verdict
  const status: ChainStatus = firstBreak !== null ? 'BROKEN' : erasedEvents > 0 ? 'OK_WITH_ERASURES' : 'OK'
  await control.query(
    `insert into chain_verification as v (workspace_id, status, verified_at, head_sequence, head_hash, erased_events,
       break_reason, break_sequence, break_event_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (workspace_id) do update set status = excluded.status, verified_at = excluded.verified_at,
       head_sequence = excluded.head_sequence, head_hash = excluded.head_hash, erased_events = excluded.erased_events,
       break_reason = excluded.break_reason, break_sequence = excluded.break_sequence,
       break_event_id = excluded.break_event_id, pass_started_at = null, pass_sequence = null, pass_hash = null,
       pass_frontier = null, pass_next_term = null, pass_erased_events = null`,
    [
      workspaceId,
      status,
      verdict.verifiedAt,
      verdict.toSequence,
      headHash === null ? null : Buffer.from(headHash),
      erasedEvents,
      firstBreak?.reason ?? null,
      firstBreak?.sequence ?? null,
      firstBreak?.eventId ?? null,
    ],
    { name: 'keep_verdict', timeoutMs: TIMEOUT_MS },
  )
}

/** The last verdicts on these chains; a chain without one is left out. */
export async function findVerdicts(control: Database, workspaceIds: readonly string[]): Promise<KeptVerdict[]> {
  const rows = await control.query<{ workspace_id: string; status: ChainStatus; verified_at: Date }>(
    `select workspace_id, status, verified_at from chain_verification
     where workspace_id = any ($1::uuid[]) and status is not null`,
    [workspaceIds],
    { name: 'find_verdicts', timeoutMs: TIMEOUT_MS },
  )
  return rows.map((row) => ({ workspaceId: row.workspace_id, status: row.status, verifiedAt: row.verified_at }))
}
