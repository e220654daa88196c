import type { Job } from '../jobs/job.js'
import type { RegionRecovery } from './region-recovery.js'

const TIMEOUT_MS = 10 * 60_000

/**
 * Each five minutes, should a region have come back unnoticed: brings home what waits for it, and destroys pending keys
 * that nothing is kept under any more.
 */
export const failoverRecoveryJob = ({ recovery }: { readonly recovery: RegionRecovery }): Job => ({
  name: 'failover-recovery',
  description: 'Brings events that wait in the pending queue into their regions, where those take them again.',
  schedule: '*/5 * * * *',
  perRegion: true,
  timeoutMs: TIMEOUT_MS,
  run: ({ region, signal }) => recovery.recover(region, signal),
})
