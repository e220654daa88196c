import { eventName, type Receipt } from './attempt-log.js'

const actors = 40

const single = `mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId status sequence } } }`
const batch = `mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId status sequence } } }`

interface ApiReceipt {
  readonly eventId: string
  readonly status: Receipt['status']
  readonly sequence: number | null
}
/** What an ingest mutation answers. */
export interface IngestData {
  readonly ingestEvent?: { readonly receipt: ApiReceipt }
  readonly ingestEvents?: { readonly receipts: readonly ApiReceipt[] }
}

/** The event of that number, the same whenever it is sent. */
export function eventInput(client: number, workspace: number, number: number): Record<string, unknown> {
  const name = eventName(client, workspace, number)
  return {
    action: name,
    category: 'faults',
    actor: { id: `actor-${number % actors}`, email: `actor.${number % actors}@example.com` },
    target: { type: 'stream', id: `${client}/${workspace}` },
    payload: { number, text: `Event ${number} of client ${client}` },
    idempotencyKey: name,
  }
}

/** The request that records the events of these numbers, alone or together. */
export function ingestRequest(
  client: number,
  workspace: number,
  first: number,
  count: number,
): { readonly query: string; readonly variables: Record<string, unknown> } {
  if (count === 1) return { query: single, variables: { input: eventInput(client, workspace, first) } }
  const events = Array.from({ length: count }, (_, index) => eventInput(client, workspace, first + index))
  return { query: batch, variables: { input: { events } } }
}

/** The receipts of an answer to {@link ingestRequest}. */
export function receiptsOf(data: IngestData | null): readonly Receipt[] | undefined {
  const receipts = data?.ingestEvents?.receipts ?? (data?.ingestEvent && [data.ingestEvent.receipt])
  return receipts?.map(({ eventId, status, sequence }) => ({ id: eventId, status, sequence }))
}
