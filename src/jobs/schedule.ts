import { Cron } from 'croner'

/** When a job runs, in UTC. Its slots are whole seconds of the pattern, the same for every process. */
export interface Schedule {
  readonly pattern: string
  /** The latest slot at or before a moment; null where there never was one. */
  latestSlot(at: Date): Date | null
  /** The first slot after a moment; null where there is none any more. */
  nextSlot(after: Date): Date | null
}

/** Reads a pattern of cron, five fields or six with seconds first. Throws a `TypeError` where it is none. */
export function parseSchedule(pattern: string): Schedule {
  const cron = cronOf(pattern)
  return {
    pattern,
    latestSlot: (at) => cron.previousRuns(1, new Date(at.getTime() + 1))[0] ?? null,
    nextSlot: (after) => cron.nextRun(after),
  }
}

function cronOf(pattern: string): Cron {
  // Made with neither a function nor a name, it only answers questions: the timers are the scheduler's.
  try {
    const cron = new Cron(pattern, { timezone: 'UTC', paused: true })
    // A single date is a pattern to croner, and February 30th one that never comes.
    if (cron.getPattern() !== undefined && cron.nextRun() !== null) return cron
  } catch {
    // Its message quotes the pattern, which is the caller's to name.
  }
  throw new TypeError('is no pattern of cron that ever comes.')
}

/** Whether a text is a pattern that {@link parseSchedule} takes. */
export function isSchedule(pattern: string): boolean {
  try {
    parseSchedule(pattern)
    return true
  } catch {
    return false
  }
}
