/**
 * Remembers that a database doesn't answer, so that not every request waits for it. After a failure nothing is let
 * through for `breakMs`; then one call goes out to see, and its outcome decides.
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

  /** Whether a call may go out now. Whoever is let through reports the outcome, whatever it is. */
  admits(): boolean {
    if (this.#openUntilMs === null) return true
    if (this.#probing || this.#nowMs() < this.#openUntilMs) return false
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
