import type { Readable } from 'node:stream'
import { ObjectStoreError, ObjectStoreUnavailableError } from './object-errors.js'

/** A connection that brings nothing for so long is dead. */
const silenceMsDefault = 60_000
const wordPattern = /^[A-Za-z][A-Za-z0-9_.-]{0,79}$/
const requestIdPattern = /^[A-Za-z0-9_+/=.-]{1,128}$/

/**
 * What a store answered, less its text: the vendors' errors carry requests with addresses, signatures and keys, and are
 * never kept. With the request's id the vendor's support and access log tell the rest.
 */
export interface StoreAnswer {
  /** The vendor's or the system's word, such as `AccessDenied` or `ECONNREFUSED`. */
  readonly name: string
  /** HTTP status; undefined where no answer came. */
  readonly status: number | undefined
  readonly requestId: string | undefined
}

class StoreAnswerError extends Error {
  override readonly name = 'StoreAnswerError'
}

/** A word of a vendor's, where it is one. */
export const wordOf = (value: unknown): string | undefined =>
  typeof value === 'string' && wordPattern.test(value) ? value : undefined

/** The answer as a cause for the operator's log. */
export function causeOf({ name, status, requestId }: StoreAnswer): Error {
  const id = requestId !== undefined && requestIdPattern.test(requestId) ? `, request ${requestId}` : ''
  return new StoreAnswerError(`${name} (${status === undefined ? 'no answer' : `HTTP ${status}`}${id})`)
}

export const unavailable = (answer: StoreAnswer): ObjectStoreUnavailableError =>
  new ObjectStoreUnavailableError(answer.name, causeOf(answer))

/** True for what is no vendor's answer: our own errors, and our own mistakes. */
export const isOurs = (error: unknown): boolean =>
  error instanceof ObjectStoreError || error instanceof RangeError || error instanceof ReferenceError

/**
 * Passes what is read from a store on; where it breaks off, or no byte comes for so long, what comes out is `failureOf`
 * what happened.
 */
export async function* readThrough(
  body: Readable,
  failureOf: (error: unknown) => unknown,
  silenceMs = silenceMsDefault,
): AsyncGenerator<Uint8Array> {
  const watch = (): NodeJS.Timeout => setTimeout(() => body.destroy(new SilenceError()), silenceMs)
  let timer = watch()
  try {
    for await (const chunk of body) {
      // Whoever reads may take their time.
      clearTimeout(timer)
      yield chunk as Uint8Array
      timer = watch()
    }
  } catch (error) {
    throw failureOf(error)
  } finally {
    clearTimeout(timer)
    body.destroy()
  }
}

class SilenceError extends Error {
  override readonly name = 'TimeoutError'
  readonly code = 'ETIMEDOUT'
}

/** Runs one request, with whatever a client makes of it, and gives it up after so long: the signal is the client's. */
export async function withDeadline<T>(ms: number, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      controller.abort()
      reject(unavailable({ name: 'TimeoutError', status: undefined, requestId: undefined }))
    }, ms)
  })
  try {
    return await Promise.race([request(controller.signal), late])
  } finally {
    clearTimeout(timer)
  }
}

/** Passes page after page on, each of which has so long to come. */
export async function* eachWithin<T>(ms: number, pages: AsyncIterator<T>): AsyncGenerator<T> {
  for (;;) {
    const page = await withDeadline(ms, () => pages.next())
    if (page.done === true) return
    yield page.value
  }
}
