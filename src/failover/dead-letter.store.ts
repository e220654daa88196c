import type { Database, Transaction } from '../db/database.js'
import type { KeysetPosition } from '../kernel/cursor.js'
import type { Region } from '../kernel/region.js'
import type { DeadLetterReason, PendingWriteRow } from './pending-write.js'

const TIMEOUT_MS = 5_000

/** What is told of an event that could not be recorded: ids, times and a word, nothing of what it says. */
export interface DeadLetter {
  /** Plain UUID of the event. */
  readonly eventId: string
  readonly region: Region
  readonly companyId: string
  readonly workspaceId: string
  readonly receivedAt: Date
  readonly queuedAt: Date
  readonly failedAt: Date
  readonly attempts: number
  readonly reason: DeadLetterReason
}

interface Row {
  readonly id: string
  readonly region: Region
  readonly company_id: string
  readonly workspace_id: string
  readonly received_at: Date | string
  readonly queued_at: Date | string
  readonly failed_at: Date | string
  readonly attempts: number
  readonly reason: DeadLetterReason
}

const shown = 'id, region, company_id, workspace_id, received_at, queued_at, failed_at, attempts, reason'
const letterOf = (row: Row): DeadLetter => ({
  eventId: row.id,
  region: row.region,
  companyId: row.company_id,
  workspaceId: row.workspace_id,
  receivedAt: new Date(row.received_at),
  queuedAt: new Date(row.queued_at),
  failedAt: new Date(row.failed_at),
  attempts: row.attempts,
  reason: row.reason,
})

/** Dead letters of a region: newest first for `older`, from the position on or from the end of the list. */
export async function readDeadLetters(
  control: Database,
  page: {
    readonly region: Region
    readonly direction: 'older' | 'newer'
    readonly position: KeysetPosition | null
    readonly limit: number
  },
): Promise<DeadLetter[]> {
  const { region, direction, position, limit } = page
  const older = direction === 'older'
  const rows = await control.query<Row>(
    `select ${shown} from dead_letter where region = $1
       and ($2::timestamptz is null or (failed_at, id) ${older ? '<' : '>'} ($2::timestamptz, $3::uuid))
     order by failed_at ${older ? 'desc' : 'asc'}, id ${older ? 'desc' : 'asc'} limit $4`,
    [region, position === null ? null : new Date(position.timeMs), position?.uuid ?? null, limit],
    { timeoutMs: TIMEOUT_MS, name: `dead_letters_${direction}` },
  )
  return rows.map(letterOf)
}

export async function countDeadLetters(control: Database, region: Region): Promise<number> {
  const [row] = await control.query<{ n: string }>(
    'select count(*) as n from dead_letter where region = $1',
    [region],
    { timeoutMs: TIMEOUT_MS, name: 'dead_letters_count' },
  )
  return Number(row!.n)
}

/** One dead letter with all that is kept of the event, locked until the transaction ends; null where there is none. */
export async function lockDeadLetter(
  tx: Transaction,
  eventId: string,
): Promise<{ readonly letter: DeadLetter; readonly row: PendingWriteRow } | null> {
  const [row] = await tx.query<Row & PendingWriteRow>(
    'select * from dead_letter where id = $1 for update',
    [eventId],
    'dead_letter_lock',
  )
  return row === undefined ? null : { letter: letterOf(row), row }
}

export async function deleteDeadLetters(tx: Transaction, ids: readonly string[]): Promise<void> {
  await tx.query('delete from dead_letter where id = any ($1::uuid[])', [ids], 'dead_letter_delete')
}

/** Notes that another try failed. */
export async function noteFailure(tx: Transaction, eventId: string, reason: DeadLetterReason): Promise<void> {
  await tx.query(
    'update dead_letter set attempts = attempts + 1, reason = $2 where id = $1',
    [eventId, reason],
    'dead_letter_note',
  )
}

/** The dead letters of a company for a region, whole. */
export const readLettersOf = (tx: Transaction, companyId: string, region: Region): Promise<PendingWriteRow[]> =>
  tx.query<PendingWriteRow>(
    'select * from dead_letter where company_id = $1 and region = $2 order by position for update',
    [companyId, region],
    'dead_letters_of_company',
  )

/** The pending keys of a region that its dead letters are under. */
export async function findLetterKeys(tx: Transaction, region: Region): Promise<string[]> {
  const rows = await tx.query<{ pending_key: string }>(
    'select distinct pending_key from dead_letter where region = $1',
    [region],
    'dead_letter_keys',
  )
  return rows.map((row) => row.pending_key)
}
