/**
 * Remembers that a database doesn't answer, so that no request waits for it: after a failure nothing is let through.
 * Whether it is back is found out beside the requests, at most one question each `breakMs`.
 */
export class CircuitBreaker {
  #openUntilMs: number | null = null
  #probing = false
  readonly #breakMs: number
  readonly #nowMs: () => number

  constructor(breakMs: number, nowMs: () => number = () => performance.now()) {
    this.#breakMs = breakMs
    this.#nowMs = nowMs
  }

  /** Whether requests may go out. */
  get isClosed(): boolean {
    return this.#openUntilMs === null
  }

  /** Whether the database should be asked now if it is back. Whoever is told so reports the outcome, whatever it is. */
  admitsProbe(): boolean {
    if (this.#openUntilMs === null || this.#probing || this.#nowMs() < this.#openUntilMs) return false
    this.#probing = true
    return true
  }

  /** The database answered, be it with an error. */
  answered(): void {
    this.#openUntilMs = null
    this.#probing = false
  }

  /** It did not. */
  failed(): void {
    this.#openUntilMs = this.#nowMs() + this.#breakMs
    this.#probing = false
  }
}
