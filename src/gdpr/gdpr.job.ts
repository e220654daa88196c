import type { Job } from '../jobs/job.js'
import { eraseRequests } from './erase-requests.js'
import type { ErasureDeps } from './erasure-deps.js'

const TIMEOUT_MS = 4 * 3_600_000

/** Carries out the requests of data subjects that both sides have approved. */
export const gdprJob = (deps: ErasureDeps): Job => ({
  name: 'gdpr',
  description: 'Erases the data subjects of approved requests, in every region and store.',
  schedule: '*/10 * * * *',
  perRegion: false,
  timeoutMs: TIMEOUT_MS,
  run: ({ signal }) => eraseRequests(deps, signal),
})
