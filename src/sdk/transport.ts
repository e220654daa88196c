import type { DocumentNode } from 'graphql'
// The printer alone, not the whole library: this file ends up in browsers.
import { print } from 'graphql/language/printer.js'
import { errorOfAnswer, HyreLogError } from './hyrelog-error.js'

export interface TransportOptions {
  /** The GraphQL endpoint, e.g. `https://audit.example.com/graphql`. */
  readonly endpoint: string
  /** An API key, `hlk_…`. */
  readonly apiKey: string
  /** The `fetch` to use: the platform's unless given. */
  readonly fetch?: typeof globalThis.fetch
  /** How long one attempt may take, in milliseconds: 30 000 unless given. */
  readonly timeoutMs?: number
  /** How often a request that may be repeated is repeated: 4 times unless given. */
  readonly retriesMax?: number
}

export interface RequestOptions {
  /** Ends the request, waits between attempts included; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal
}

const timeoutMsDefault = 30_000
const retriesMaxDefault = 4
const backOffMsFirst = 250
const backOffMsMax = 10_000
/** A service that asks for more than this is answered by giving up, not by a process that seems to hang. */
const retryAfterMsMax = 60_000

const passingCodes = new Set(['RATE_LIMITED', 'REGION_UNAVAILABLE', 'DEADLINE_EXCEEDED', 'NETWORK_ERROR'])
/** Statuses that something between client and service answers while the service is away. */
const passingStatuses = new Set([408, 429, 502, 503, 504])

/**
 * True where sending the request again can't record anything twice: a query, or a mutation each of whose events has an
 * idempotency key. An answer that got lost says nothing about whether the events were recorded.
 */
export function isRepeatable(document: DocumentNode, variables: unknown): boolean {
  const operations = document.definitions.filter((definition) => definition.kind === 'OperationDefinition')
  if (operations.every((definition) => definition.operation === 'query')) return true
  if (typeof variables !== 'object' || variables === null || !('input' in variables)) return false
  const { input } = variables
  if (typeof input !== 'object' || input === null) return false
  const events: readonly unknown[] = 'events' in input && Array.isArray(input.events) ? input.events : [input]
  return events.every(
    (event) =>
      typeof event === 'object' &&
      event !== null &&
      'idempotencyKey' in event &&
      typeof event.idempotencyKey === 'string' &&
      event.idempotencyKey !== '',
  )
}

/** Resolves after that many milliseconds, or rejects with the signal's reason as soon as it is aborted. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    if (signal?.aborted === true) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const retryAfterOf = (response: Response): number | undefined => {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
}

/** The `data` of a GraphQL answer without errors; every other answer is a {@link HyreLogError}. */
function dataOf(response: Response, text: string): unknown {
  const answer = parseJson(text)
  if (typeof answer === 'object' && answer !== null) {
    if ('errors' in answer && Array.isArray(answer.errors) && answer.errors.length > 0)
      throw errorOfAnswer(answer.errors, response.status)
    if (response.ok && 'data' in answer) return answer.data
  }
  const passing = passingStatuses.has(response.status)
  throw new HyreLogError(
    passing ? 'NETWORK_ERROR' : 'HTTP_ERROR',
    `The endpoint answered HTTP ${response.status} without a GraphQL result.`,
    { status: response.status, retryAfterMs: retryAfterOf(response) },
  )
}

/** Sends one operation, repeating it while that is safe and promising. */
export class Transport {
  readonly #options: TransportOptions
  readonly #texts = new WeakMap<DocumentNode, string>()

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /**
   * The operation's `data`. Throws {@link HyreLogError}. Where the failure is a passing one (`RATE_LIMITED`,
   * `REGION_UNAVAILABLE`, `DEADLINE_EXCEEDED`, no answer) and {@link isRepeatable} holds, it is sent again after a pause:
   * what the service asked for, else exponential with full jitter.
   */
  async send<Result>(document: DocumentNode, variables: unknown, options: RequestOptions | undefined): Promise<Result> {
    const body = JSON.stringify({ query: this.#textOf(document), variables: variables ?? {} })
    const retriesMax = isRepeatable(document, variables) ? (this.#options.retriesMax ?? retriesMaxDefault) : 0
    for (let attempt = 0; ; attempt++) {
      try {
        return (await this.#post(body, options?.signal)) as Result
      } catch (error) {
        if (!(error instanceof HyreLogError) || !passingCodes.has(error.code) || attempt >= retriesMax) throw error
        const backOffMs = Math.random() * Math.min(backOffMsMax, backOffMsFirst * 2 ** attempt)
        if ((error.retryAfterMs ?? 0) > retryAfterMsMax) throw error
        await pause(Math.max(backOffMs, error.retryAfterMs ?? 0), options?.signal)
      }
    }
  }

  #textOf(document: DocumentNode): string {
    const known = this.#texts.get(document)
    if (known !== undefined) return known
    const text = print(document)
    this.#texts.set(document, text)
    return text
  }

  async #post(body: string, signal: AbortSignal | undefined): Promise<unknown> {
    signal?.throwIfAborted()
    const timeoutMs = this.#options.timeoutMs ?? timeoutMsDefault
    const timeout = AbortSignal.timeout(timeoutMs)
    const send = this.#options.fetch ?? globalThis.fetch
    let response: Response
    let text: string
    try {
      response = await send(this.#options.endpoint, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/graphql-response+json, application/json;q=0.9',
          authorization: `Bearer ${this.#options.apiKey}`,
        },
        body,
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      })
      text = await response.text()
    } catch (error) {
      signal?.throwIfAborted()
      const message = timeout.aborted ? `No answer within ${timeoutMs} ms.` : 'The endpoint could not be reached.'
      throw new HyreLogError('NETWORK_ERROR', message, { cause: error })
    }
    return dataOf(response, text)
  }
}
