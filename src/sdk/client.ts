import { getSdk, type AuditEventFieldsFragment } from './generated/sdk.js'
import { iterateGlobalEvents, type IterateGlobalEventsOptions } from './iterate-global-events.js'
import { Transport, type RequestOptions, type TransportOptions } from './transport.js'

type Operations = ReturnType<typeof getSdk<RequestOptions>>

/** Every operation of `src/sdk/operations` as a typed method, and what is built on them. */
export interface HyreLogClient extends Operations {
  /** All events of a search, page after page; see {@link IterateGlobalEventsOptions}. */
  iterateGlobalEvents(options?: IterateGlobalEventsOptions): AsyncGenerator<AuditEventFieldsFragment, void, undefined>
}

/**
 * A client of one endpoint with one key. Nothing is sent before the first call. All methods throw `HyreLogError`.
 * Queries are repeated on passing failures; recordings only where every event has an `idempotencyKey`, since otherwise a
 * lost answer could record an event twice.
 */
export function createHyreLogClient(options: TransportOptions): HyreLogClient {
  const transport = new Transport(options)
  const sdk = getSdk<RequestOptions>((document, variables, requestOptions) =>
    transport.send(document, variables, requestOptions),
  )
  return { ...sdk, iterateGlobalEvents: (search = {}) => iterateGlobalEvents(sdk, search) }
}
