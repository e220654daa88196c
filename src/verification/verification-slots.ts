import { DomainError } from '../kernel/domain-error.js'

/** Verifications that run at the same moment, in all and of one company; each holds up to some tens of MB. */
const RUNNING_MAX = 8
const RUNNING_OF_COMPANY_MAX = 2
const WAITING_OF_COMPANY_MAX = 32
const RETRY_AFTER_MS = 2_000

interface Waiting {
  readonly companyId: string
  readonly start: () => void
}

/** Lets a few verifications run at once; the others wait for their turn, so that none is cheap to pile up. */
export class VerificationSlots {
  readonly #running = new Map<string, number>()
  #waiting: Waiting[] = []
  #total = 0

  /** Runs `work` when there is room. RATE_LIMITED where too many of the company wait already. */
  async run<T>(companyId: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(companyId, signal)
    try {
      return await work()
    } finally {
      this.#leave(companyId)
    }
  }

  #hasRoom(companyId: string): boolean {
    return this.#total < RUNNING_MAX && (this.#running.get(companyId) ?? 0) < RUNNING_OF_COMPANY_MAX
  }

  #start(companyId: string): void {
    this.#total++
    this.#running.set(companyId, (this.#running.get(companyId) ?? 0) + 1)
  }

  #enter(companyId: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#hasRoom(companyId)) {
      this.#start(companyId)
      return Promise.resolve()
    }
    if (this.#waiting.filter((one) => one.companyId === companyId).length >= WAITING_OF_COMPANY_MAX)
      throw new DomainError('RATE_LIMITED', 'Too many verifications are under way: try again later.', {
        details: { retryAfterMs: RETRY_AFTER_MS },
      })
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting)
        reject(signal.reason as Error)
      }
      const waiting: Waiting = {
        companyId,
        start: () => {
          signal.removeEventListener('abort', onAbort)
          this.#start(companyId)
          resolve()
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiting)
    })
  }

  #leave(companyId: string): void {
    this.#total--
    const left = this.#running.get(companyId)! - 1
    if (left === 0) this.#running.delete(companyId)
    else this.#running.set(companyId, left)
    const next = this.#waiting.find((one) => this.#hasRoom(one.companyId))
    if (next === undefined) return
    this.#waiting = this.#waiting.filter((one) => one !== next)
    next.start()
  }
}
