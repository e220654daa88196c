import type { Clock } from '../../src/kernel/clock.js'

/** A clock that stands still until a test moves it. */
export interface SettableClock extends Clock {
  advance(ms: number): void
}

export function settableClock(start: Date = new Date()): SettableClock {
  let nowMs = start.getTime()
  return {
    now: () => new Date(nowMs),
    advance: (ms) => {
      nowMs += ms
    },
  }
}
