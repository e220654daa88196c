import type { Job } from '../jobs/job.js'
import { type AdminSigningDeps, signAdminChains } from './sign-admin-chains.js'

const TIMEOUT_MS = 10 * 60_000

/** Signs the chains of the admin log. */
export const signAdminLogJob = (deps: AdminSigningDeps): Job => ({
  name: 'sign-admin-log',
  description: 'Signs a checkpoint of each chain of the admin log that has grown.',
  schedule: '* * * * *',
  perRegion: false,
  timeoutMs: TIMEOUT_MS,
  run: ({ signal }) => signAdminChains(deps, signal),
})
