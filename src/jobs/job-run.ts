import type { JsonObject } from '../kernel/canonical-json.js'
import { DatabaseError } from '../db/database-error.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { ObjectStoreError } from '../objects/object-errors.js'

export type JobOutcome = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'SKIPPED'

/** One run of a job, or one that did not take place because the one before was still going. */
export interface JobRun {
  readonly id: string
  readonly job: string
  readonly region: Region | null
  readonly startedAt: Date
  readonly finishedAt: Date | null
  readonly outcome: JobOutcome
  readonly processed: number
  /** A word of {@link wordFor}. */
  readonly error: string | null
}

/** A run that has the lease, and is to begin. */
export interface ClaimedRun {
  readonly runId: string
  readonly job: string
  readonly region: Region | null
  /** The tick it belongs to; null where somebody started it. */
  readonly slot: Date | null
  readonly resumeFrom: JsonObject | null
  /** When its lease began, at the latest, on the monotonic clock. */
  readonly leasedAtMs: number
}

/** A run that is over, for log and figures. */
export interface JobReport {
  readonly job: string
  readonly region: Region | null
  readonly outcome: Exclude<JobOutcome, 'RUNNING'>
  readonly durationMs: number
  readonly processed: number
  /** As the run has it. */
  readonly word: string | null
  /** For the log. */
  readonly cause?: unknown
}

export const HOLDER_LOST = 'holder lost'
export const STILL_RUNNING = 'still running'
export const STOPPED = 'stopped'
export const TIMED_OUT = 'timed out'
const LEASE_LOST = 'lease lost'
const REGIONS_FAILED = 'regions failed'

/** Why a run had to end before its work did; the `reason` of its signal. */
export class RunCutShort extends Error {
  override readonly name = 'RunCutShort'
  constructor(readonly word: typeof STOPPED | typeof TIMED_OUT | typeof LEASE_LOST | typeof REGIONS_FAILED) {
    super(`The run ended early: ${word}.`)
  }
}

export const stopped = (): RunCutShort => new RunCutShort(STOPPED)
export const timedOut = (): RunCutShort => new RunCutShort(TIMED_OUT)
export const leaseLost = (): RunCutShort => new RunCutShort(LEASE_LOST)
export const regionsFailed = (): RunCutShort => new RunCutShort(REGIONS_FAILED)

/** What a run's row says of a failure: one of a few fixed words. Messages may hold what must not be kept. */
export function wordFor(failure: unknown): string {
  if (failure instanceof RunCutShort) return failure.word
  if (failure instanceof DatabaseError) return `database ${failure.kind.replaceAll('_', ' ')}`
  if (failure instanceof ObjectStoreError) return failure.code.toLowerCase().replaceAll('_', ' ')
  return failure instanceof DomainError ? failure.code : 'failed'
}
