import { DatabaseError } from '../db/database-error.js'
import { DeadlineExceeded, within } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'
import type { RegionRegistry } from './region-registry.js'
import type { RegionCheck, RegionTrouble } from './region-state.js'
import type { Region } from '../kernel/region.js'

/** How long a region has to answer a health check. */
export const CHECK_DEADLINE_MS = 1_000

/**
 * Asks a region to keep something: a message in its write-ahead log, which no table notices and no disk that is full, no
 * standby and no hung server takes. Takes a second at most, and never rejects for what is the region's fault.
 */
export async function checkRegion(registry: Pick<RegionRegistry, 'use'>, region: Region): Promise<RegionCheck> {
  const startedMs = performance.now()
  const latencyMs = (): number => Math.round((performance.now() - startedMs) * 100) / 100
  try {
    const rows = await within(
      CHECK_DEADLINE_MS,
      registry.use(region, ({ database }) =>
        database.query<{ is_read_only: boolean }>(
          `select current_setting('transaction_read_only') = 'on' as is_read_only, pg_logical_emit_message(true, 'hyrelog', 'health')`,
          [],
          { timeoutMs: CHECK_DEADLINE_MS, name: 'region_check' },
        ),
      ),
    )
    const isReadOnly = rows[0]?.is_read_only === true
    return {
      region,
      answers: true,
      writable: !isReadOnly,
      latencyMs: latencyMs(),
      reason: isReadOnly ? 'read_only' : null,
    }
  } catch (error) {
    const { answers, reason } = troubleOf(error)
    return { region, answers, writable: false, latencyMs: answers ? latencyMs() : null, reason }
  }
}

/** Throws what is no fault of a region. */
function troubleOf(error: unknown): { readonly answers: boolean; readonly reason: RegionTrouble } {
  // Taken out of the table of regions this very moment.
  if (error instanceof DomainError) return { answers: false, reason: 'unreachable' }
  if (error instanceof DeadlineExceeded) return { answers: false, reason: 'timeout' }
  if (!(error instanceof DatabaseError)) throw error
  switch (error.kind) {
    case 'timeout':
    case 'unreachable':
    case 'starting':
      return { answers: false, reason: error.kind }
    case 'too_many_connections':
      return { answers: false, reason: 'overloaded' }
    default:
      // 25006: a read-only transaction; 55000: a standby; class 53: no room.
      return { answers: true, reason: error.code === '25006' || error.code === '55000' ? 'read_only' : 'error' }
  }
}
