import type { Job } from '../jobs/job.js'
import { replicateRegion, replicateSome, tendReplicas } from './replicate-region.js'
import type { ReplicationDeps } from './replication-deps.js'

const TIMEOUT_MS = 60 * 60_000

/** Sees to the replicas that a region keeps: what commits announce is copied at once, this finds the rest. */
export const replicationJob = (deps: ReplicationDeps): Job => ({
  name: 'replication',
  description:
    'Copies the chains of companies that replicate to a region there, purges replicas that are no longer wanted, compares them with their home, and destroys keys that home has destroyed.',
  schedule: '*/5 * * * *',
  perRegion: true,
  timeoutMs: TIMEOUT_MS,
  run: async ({ region, signal, progress }) => {
    const first = await replicateRegion(deps, region, signal)
    let { copied, behind, failures } = first
    progress(copied)
    while (behind.length > 0 && failures.length === 0) {
      const more = await replicateSome(deps, region, new Set(behind), signal)
      copied += more.copied
      ;({ behind, failures } = more)
      progress(copied)
    }
    await tendReplicas(deps, region, signal)
    if (failures.length > 0) throw failures[0]
    return copied
  },
})
