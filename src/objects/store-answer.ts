import { ObjectStoreError, ObjectStoreUnavailableError } from './object-errors.js'

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

/** Passes what is read from a store on; where it breaks off, what comes out is `failureOf` it. */
export async function* readThrough(
  body: AsyncIterable<Uint8Array>,
  failureOf: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    throw failureOf(error)
  }
}
