import { setTimeout as wait } from 'node:timers/promises'

const pollMs = 20

/** Asks until the answer is neither false nor undefined, and gives it; fails at the deadline naming what never came. */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<T, false | undefined>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>
    if (Date.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${what}`)
    await wait(pollMs)
  }
}
