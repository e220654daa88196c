/** A moment by which an answer has to be there, on the monotonic clock. */
export interface Deadline {
  /** Whole milliseconds left, at least 0. */
  remainingMs(): number
}

/** The deadline `ms` from now. */
export function deadlineAfter(ms: number): Deadline {
  const end = performance.now() + ms
  return { remainingMs: () => Math.max(0, Math.ceil(end - performance.now())) }
}

/** Thrown by {@link within} when time is up. */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded'
}

/**
 * The outcome of `work`, or {@link DeadlineExceeded} after `ms`. The work itself goes on: whoever started it gives it a
 * limit of its own and this is only the guard against a limit that doesn't hold.
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineExceeded(`no answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, timeUp])
  } finally {
    clearTimeout(timer)
  }
}
