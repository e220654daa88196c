import type { Database } from '../db/database.js'
import { checkRegion } from '../regions/check-region.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { deleteOldChecks, saveChecks } from '../regions/region-state.store.js'
import type { Job } from './job.js'

const TIMEOUT_MS = 20_000
const CHECKS_KEPT_HOURS = 24

export interface HealthDeps {
  readonly registry: Pick<RegionRegistry, 'list' | 'use'>
  readonly control: Database
  /** Told after the checks were kept. */
  readonly onChecked?: () => Promise<unknown>
}

/** Looks each minute how every region is, all at once, and tells every process. Regions that are down are no failure. */
export const healthJob = (deps: HealthDeps): Job => ({
  name: 'health',
  description: 'Checks whether each region answers and takes writes.',
  schedule: '* * * * *',
  perRegion: false,
  timeoutMs: TIMEOUT_MS,
  run: async () => {
    const { registry, control } = deps
    const checks = await Promise.all(registry.list().map(({ region }) => checkRegion(registry, region)))
    await saveChecks(control, checks)
    await deps.onChecked?.()
    await deleteOldChecks(control, CHECKS_KEPT_HOURS)
    return checks.length
  },
})
