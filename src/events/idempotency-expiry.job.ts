import type { Job, JobContext } from '../jobs/job.js'
import type { Clock } from '../kernel/clock.js'
import type { RegionHandle, RegionRegistry } from '../regions/region-registry.js'
import { IDEMPOTENCY_KEPT_HOURS } from './idempotency.js'
import { deleteIdempotencyKeys } from './idempotency.store.js'

const KEYS_PER_TRANSACTION_MAX = 5_000
/** How many tenants one transaction names. */
const COMPANIES_PER_TRANSACTION_MAX = 500
const TRANSACTION_TIMEOUT_MS = 30_000

export interface IdempotencyExpiryDeps {
  readonly registry: Pick<RegionRegistry, 'use'>
  /** UUIDs of all companies. */
  readonly companyIds: () => Promise<readonly string[]>
  readonly clock: Clock
}

/**
 * Drops idempotency keys and fingerprints that are older than 24 hours, every hour, in every region: a repeat is
 * recognised for 24 hours at least, and none of it is kept for longer than 48.
 */
export function idempotencyExpiryJob(deps: IdempotencyExpiryDeps): Job {
  return {
    name: 'expire-idempotency-keys',
    description: 'Drops idempotency keys older than 24 hours.',
    schedule: '17 * * * *',
    perRegion: true,
    timeoutMs: 10 * 60_000,
    run: async ({ signal, region, progress }) => {
      const before = new Date(deps.clock.now().getTime() - IDEMPOTENCY_KEPT_HOURS * 3_600_000)
      const companies = await deps.companyIds()
      return deps.registry.use(region, (handle) => expireIn(handle, companies, before, { signal, progress }))
    },
  }
}

async function expireIn(
  { database }: RegionHandle,
  companies: readonly string[],
  before: Date,
  { signal, progress }: Pick<JobContext, 'signal' | 'progress'>,
): Promise<number> {
  let total = 0
  for (let at = 0; at < companies.length; at += COMPANIES_PER_TRANSACTION_MAX) {
    const some = companies.slice(at, at + COMPANIES_PER_TRANSACTION_MAX)
    for (;;) {
      signal.throwIfAborted()
      const deleted = await database.transaction({ companies: some, timeoutMs: TRANSACTION_TIMEOUT_MS, signal }, (tx) =>
        deleteIdempotencyKeys(tx, before, KEYS_PER_TRANSACTION_MAX),
      )
      total += deleted
      progress(total)
      if (deleted < KEYS_PER_TRANSACTION_MAX) break
    }
  }
  return total
}
