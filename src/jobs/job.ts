/** Something done again and again in the background. */
export interface Job {
  /** Verb-noun, unique in a process. */
  readonly name: string
  readonly description: string
  /** When, in UTC: five fields of cron, or six with seconds first. */
  readonly pattern: string
  /** After this long its signal is aborted; it is then waited for until it has stopped. */
  readonly timeoutMs: number
  /** Does the work once. Safe to run at any time, on several processes too; stops soon after `signal` is aborted. */
  readonly run: (signal: AbortSignal) => Promise<void>
}
