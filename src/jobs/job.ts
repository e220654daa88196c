import type { JsonObject } from '../kernel/canonical-json.js'
import type { Region } from '../kernel/region.js'

/** What a run of a job is given. */
export interface JobContext {
  /**
   * Aborted when the run must end: its time is up, the server stops, or its lease was lost and another process may
   * begin the same work. The run is then waited for; its `reason` says why.
   */
  readonly signal: AbortSignal
  /**
   * Tells how many things were done so far, and, where that helps, the place to go on from. Kept with the run every few
   * seconds; `place` is JSON of ours, never personal data.
   */
  progress(this: void, processed: number, place?: JsonObject): void
  /** The last place told by a run of the same tick that was cut short: its process died or was stopped. */
  readonly resumeFrom: JsonObject | null
}

interface JobBase {
  /** Noun or verb-noun in kebab case, unique; never renamed, as settings and the run history name it. */
  readonly name: string
  readonly description: string
  /** When, in UTC: five fields of cron, or six with seconds first. The configuration may say otherwise. */
  readonly schedule: string
  /** After this long its signal is aborted; it is then waited for until it has stopped. */
  readonly timeoutMs: number
}

/**
 * Something done again and again in the background, on one process at a time. Safe to run at any moment and to be cut
 * short at any other: a process may die in the middle of it. `run` stops soon after its signal is aborted, and answers
 * how many things it did.
 */
export type Job = JobBase &
  (
    | { readonly perRegion: false; readonly run: (context: JobContext) => Promise<number> }
    | {
        /** Each region has runs of its own, whatever becomes of the others'. */
        readonly perRegion: true
        readonly run: (context: JobContext & { readonly region: Region }) => Promise<number>
      }
  )
