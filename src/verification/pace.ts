import { setImmediate, setTimeout } from 'node:timers/promises'

/** How much verifying may take of the event loop that other requests need too. */
export interface Rhythm {
  readonly workMs: number
  /** 0: only as long as others have something to do. */
  readonly restMs: number
}

/** Somebody waits for the verdict. */
export const interactive: Rhythm = { workMs: 4, restMs: 0 }
/** Nobody does: at most about half of a core. */
export const background: Rhythm = { workMs: 3, restMs: 3 }

/** The clock is looked at once in so many steps; each takes some tens of microseconds. */
const STEPS_PER_LOOK = 8

/** Lets others have their turn between steps. */
export class Pace {
  readonly #rhythm: Rhythm
  readonly #signal: AbortSignal
  #since = performance.now()
  #steps = 0

  constructor(rhythm: Rhythm, signal: AbortSignal) {
    this.#rhythm = rhythm
    this.#signal = signal
  }

  /** Counts a step; true where it is time to {@link rest}. */
  isDue(): boolean {
    if (++this.#steps < STEPS_PER_LOOK) return false
    this.#steps = 0
    return performance.now() - this.#since >= this.#rhythm.workMs
  }

  /** Throws the signal's reason once it is aborted. */
  async rest(): Promise<void> {
    if (this.#rhythm.restMs === 0) await setImmediate()
    else await setTimeout(this.#rhythm.restMs)
    this.#signal.throwIfAborted()
    this.#since = performance.now()
  }
}
