import { deleteExpiredSessions } from '../auth/session.store.js'
import type { Database } from '../db/database.js'
import type { Job } from '../jobs/job.js'
import type { Clock } from '../kernel/clock.js'

const TIMEOUT_MS = 60_000

/** Deletes sessions that are over, and counters of sign-in attempts whose window has passed. */
export const sessionExpiryJob = (deps: { readonly control: Database; readonly clock: Clock }): Job => ({
  name: 'expire-sessions',
  description: 'Deletes dashboard sessions that are over and old counters of sign-in attempts.',
  schedule: '*/15 * * * *',
  perRegion: false,
  timeoutMs: TIMEOUT_MS,
  run: () => deleteExpiredSessions(deps.control, deps.clock.now()),
})
