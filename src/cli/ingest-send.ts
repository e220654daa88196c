import { HyreLogError, type HyreLogClient, type IngestEventInput } from '../sdk/index.js'

/** An event and where it came from. */
export interface PlacedEvent {
  readonly at: string
  readonly event: IngestEventInput
}

/** What became of the records so far. */
export interface IngestTally {
  /** Records found in the input, faulty ones included. */
  read: number
  recorded: number
  /** Accepted while their region was down: recorded when it is back. */
  queued: number
  /** Known by their idempotency keys: recorded before. */
  replayed: number
  refused: number
}

export interface SendOptions {
  readonly client: Pick<HyreLogClient, 'ingestEvents'>
  readonly tally: IngestTally
  readonly onRefused: (at: string, reason: string) => void
}

/** Codes that speak of single events; every other failure would meet the next batch too. */
const isolatedCodes = new Set(['BAD_USER_INPUT', 'IDEMPOTENCY_CONFLICT', 'NOT_FOUND', 'QUERY_TOO_COMPLEX'])
const payloadTooLarge = 413

const sharesOneProject = (batch: readonly PlacedEvent[]): boolean =>
  batch.every(({ event }) => event.projectId === batch[0]?.event.projectId)

function concernsSingleEvents(error: HyreLogError, batch: readonly PlacedEvent[]): boolean {
  if (error.status === payloadTooLarge) return true
  if (!isolatedCodes.has(error.code)) return false
  // The one project of all: no event of the batch could be recorded.
  return error.code !== 'NOT_FOUND' || batch.length === 1 || !sharesOneProject(batch)
}

/** The reasons by index of the events that an answer finds fault with. */
function reasonsByEvent(error: HyreLogError, count: number): Map<number, string> {
  const reasons = new Map<number, string>()
  const faults = error.faults.length > 0 ? error.faults : [{ field: error.field ?? '', message: error.message }]
  for (const { field, message } of faults) {
    const match = /\bevents\[(\d+)\][.]?(.*)$/s.exec(field)
    const index = Number(match?.[1] ?? Number.NaN)
    if (match === null || !(index < count)) continue
    const reason = match[2] === undefined || match[2] === '' ? message : `${match[2]}: ${message}`
    const known = reasons.get(index)
    reasons.set(index, known === undefined ? reason : `${known} ${reason}`)
  }
  return reasons
}

/**
 * Records a batch in order. The service takes all of a batch or nothing; where it refuses one for some of its events,
 * those are reported as refused and the others sent again without them. Where an answer doesn't say which, the batch is
 * halved until one event is left. Throws `HyreLogError` for whatever isn't about single events.
 */
export async function sendBatch(batch: readonly PlacedEvent[], options: SendOptions): Promise<void> {
  if (batch.length === 0) return
  const { tally, onRefused } = options
  try {
    const answer = await options.client.ingestEvents({ input: { events: batch.map(({ event }) => event) } })
    for (const receipt of answer.ingestEvents.receipts) {
      if (receipt.replayed) tally.replayed++
      else if (receipt.status === 'QUEUED') tally.queued++
      else tally.recorded++
    }
    return
  } catch (error) {
    if (!(error instanceof HyreLogError) || !concernsSingleEvents(error, batch)) throw error
    const reasons = reasonsByEvent(error, batch.length)
    const [only] = batch
    if (reasons.size === 0 && batch.length === 1 && only !== undefined) {
      tally.refused++
      onRefused(only.at, error.message)
      return
    }
    for (const [index, reason] of [...reasons].sort(([a], [b]) => a - b)) {
      tally.refused++
      onRefused(batch[index]?.at ?? '', reason)
    }
    const rest = batch.filter((_, index) => !reasons.has(index))
    const middle = reasons.size === 0 ? Math.ceil(rest.length / 2) : rest.length
    await sendBatch(rest.slice(0, middle), options)
    await sendBatch(rest.slice(middle), options)
  }
}
