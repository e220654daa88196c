import type { Database } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import { linksOnly } from '../events/archived-events.js'
import type { Job } from '../jobs/job.js'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import type { ChainAlarms } from './chain-alarms.js'
import { type ChainToVerify, keepPass, keepVerdict, listChainsToVerify, type Pass } from './chain-verification.store.js'
import { background } from './pace.js'
import { type VerificationDeps, verifyStretch } from './verify-stretch.js'

/** After so many events of one chain the next chain has its turn. */
export const SLICE_EVENTS = 50_000
const TIMEOUT_MS = 5 * 3_600_000

export interface VerifyChainsDeps extends VerificationDeps {
  readonly control: Database
  readonly clock: Clock
  readonly alarms: ChainAlarms
  readonly sliceEvents?: number
}

/**
 * Verifies every chain of a region from its first event to its last, every night, a slice of each at a time, so that a
 * long chain keeps none waiting. How far a chain has got is kept: what a night leaves over the next goes on with. The
 * verdicts are kept; a chain that does not verify raises an alarm, and the run fails once all have had their turn.
 */
export function verifyChainsJob(deps: VerifyChainsDeps): Job {
  return {
    name: 'verify-chains',
    description: 'Verifies all chains: events, links, values, trees and signed checkpoints.',
    schedule: '40 1 * * *',
    timeoutMs: TIMEOUT_MS,
    perRegion: true,
    run: ({ region, signal, progress }) => verifyChains(deps, region, signal, progress),
  }
}

async function verifyChains(
  deps: VerifyChainsDeps,
  region: Region,
  signal: AbortSignal,
  progress: (events: number) => void,
): Promise<number> {
  let waiting = await listChainsToVerify(deps.control, region)
  let events = 0
  let broken = 0
  const failures: unknown[] = []
  while (waiting.length > 0) {
    const unfinished: ChainToVerify[] = []
    for (const chain of waiting) {
      signal.throwIfAborted()
      try {
        const slice = await verifySlice(deps, chain, signal)
        events += slice.checkedEvents
        if (slice.outcome === 'BROKEN') broken++
        else if (slice.outcome !== 'WHOLE') unfinished.push({ ...chain, pass: slice.outcome })
      } catch (error) {
        signal.throwIfAborted()
        // Whatever does not answer, the next chain would wait for in vain as well.
        if (error instanceof DatabaseError && error.unavailable) throw error
        // One chain that can't be read now is no reason to leave out the others.
        failures.push(error)
      }
      progress(events)
    }
    waiting = unfinished
  }
  if (broken > 0) failures.push(new Error(`${broken} chains of ${region} do not verify`))
  if (failures.length > 0) throw new AggregateError(failures, `not every chain of ${region} verifies`)
  return events
}

/** Verifies the next slice of a chain. Answers the pass where the chain goes on behind it. */
async function verifySlice(
  deps: VerifyChainsDeps,
  chain: ChainToVerify,
  signal: AbortSignal,
): Promise<{ readonly checkedEvents: number; readonly outcome: 'WHOLE' | 'BROKEN' | Pass }> {
  const { control, clock, sliceEvents = SLICE_EVENTS } = deps
  const { pass } = chain
  const stretch = { from: pass?.state ?? 1, to: null, eventsMax: sliceEvents }
  // The bodies in archive objects are the weekly job verify-archive's: a year of objects is not downloaded every night.
  const verdict = await verifyStretch({ ...deps, archives: linksOnly }, chain, stretch, { rhythm: background, signal })
  const { checkedEvents, firstBreak, reachedHead, state } = verdict
  const erasedEvents = (pass?.erasedEvents ?? 0) + verdict.erasedEvents
  if (firstBreak === null && !reachedHead && state !== null) {
    const next = { startedAt: pass?.startedAt ?? clock.now(), state, erasedEvents }
    await keepPass(control, chain.id, next)
    return { checkedEvents, outcome: next }
  }
  if (firstBreak !== null) deps.alarms.raise(chain, firstBreak)
  const headHash = verdict.headHash ?? pass?.state.hash ?? null
  await keepVerdict(control, chain.id, {
    verifiedAt: clock.now(),
    toSequence: verdict.toSequence,
    headHash,
    erasedEvents,
    firstBreak,
  })
  return { checkedEvents, outcome: firstBreak === null ? 'WHOLE' : 'BROKEN' }
}
