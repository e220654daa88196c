import { createHmac, type KeyObject } from 'node:crypto'
import type { Database } from '../db/database.js'
import type { Transaction } from '../db/pooled-transaction.js'
import { DomainError } from '../kernel/domain-error.js'
import { addressBlock } from './ip-address.js'

/** Attempts are counted over windows of this length. */
export const SIGN_IN_WINDOW_MS = 15 * 60_000
/** Attempts on one account that don't succeed, whether there is such an account or not. */
export const ACCOUNT_ATTEMPTS_MAX = 10
/** Attempts from one address that don't succeed, whosever account they are on. */
export const ADDRESS_ATTEMPTS_MAX = 50
/** Failed attempts that are written in the admin log, whosever: an attack must not fill it. */
const LOGGED_FAILURES_MAX = 500

const ATTEMPTS_COUNTED_MAX = 1_000_000
const TIMEOUT_MS = 2_000

/** The counters that one attempt belongs to. */
export interface AttemptBuckets {
  readonly account: Buffer
  readonly address: Buffer
  readonly log: Buffer
}

/** The counters of an attempt on an account (by its e-mail, lower-case) from an address. `key` keeps them anonymous. */
export function attemptBuckets(key: KeyObject, email: string, clientIp: string | null): AttemptBuckets {
  const bucket = (text: string) => createHmac('sha256', key).update(`sign-in ${text}`).digest()
  return {
    account: bucket(`account ${email}`),
    address: bucket(`address ${addressBlock(clientIp)}`),
    log: bucket('log'),
  }
}

interface CountRow {
  readonly bucket: Buffer
  readonly attempts: number
  readonly window_ends_at: Date
}

const countSql = `insert into sign_in_attempt as a (bucket, attempts, window_ends_at)
  select b, 1, $3::timestamptz from unnest($1::bytea[]) as b order by b
  on conflict (bucket) do update set
    attempts = case when a.window_ends_at <= $2::timestamptz then 1 else least(a.attempts + 1, ${ATTEMPTS_COUNTED_MAX}) end,
    window_ends_at = case when a.window_ends_at <= $2::timestamptz then excluded.window_ends_at else a.window_ends_at end
  returning bucket, attempts, window_ends_at`

async function count(control: Database, buckets: readonly Buffer[], now: Date): Promise<CountRow[]> {
  return control.query<CountRow>(countSql, [buckets, now, new Date(now.getTime() + SIGN_IN_WINDOW_MS)], {
    name: 'sign_in_count',
    timeoutMs: TIMEOUT_MS,
  })
}

/**
 * Counts an attempt before it is judged, so that attempts made at once all count. `RATE_LIMITED` with `retryAfterMs`
 * where the account or the address has had too many; the answer is the same for an account that doesn't exist.
 */
export async function countAttempt(control: Database, buckets: AttemptBuckets, now: Date): Promise<void> {
  const rows = await count(control, [buckets.account, buckets.address], now)
  const over = rows.filter(
    ({ bucket, attempts }) => attempts > (bucket.equals(buckets.account) ? ACCOUNT_ATTEMPTS_MAX : ADDRESS_ATTEMPTS_MAX),
  )
  if (over.length === 0) return
  const until = Math.max(...over.map((row) => row.window_ends_at.getTime()))
  throw new DomainError('RATE_LIMITED', 'Too many attempts to sign in: try again later.', {
    details: { retryAfterMs: Math.max(1, until - now.getTime()) },
  })
}

/** Whether one more failed attempt may be written in the admin log. */
export async function mayLogFailure(control: Database, buckets: AttemptBuckets, now: Date): Promise<boolean> {
  const [row] = await count(control, [buckets.log], now)
  return row !== undefined && row.attempts <= LOGGED_FAILURES_MAX
}

/** An attempt succeeded: the account's counter begins anew, and the address is not charged for it. */
export async function forgiveAttempt(tx: Transaction, buckets: AttemptBuckets): Promise<void> {
  await tx.query('delete from sign_in_attempt where bucket = $1', [buckets.account])
  await tx.query('update sign_in_attempt set attempts = attempts - 1 where bucket = $1 and attempts > 0', [
    buckets.address,
  ])
}
