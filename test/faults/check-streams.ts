import { regions, type Region } from '../../src/kernel/region.js'
import { eventName, parseEventName, readAttempts, type Receipt } from './attempt-log.js'

/** What became of the events of a region. */
export interface StreamCounts {
  /** Events that a client was told are recorded or queued; how many of them it was told are queued. */
  acknowledged: number
  queued: number
  lost: number
  /** Events that are there more than once, acknowledged or not. */
  doubled: number
  /** Events that stand before one which their client sent earlier, having waited for its answer. */
  reordered: number
  /** Events of no client. */
  invented: number
}

/** An event as it is stored. */
export interface StoredEvent {
  /** Plain UUID. */
  readonly id: string
  readonly sequence: number
  readonly action: string
}

export interface AcknowledgedEvent extends Receipt {
  readonly client: number
  readonly workspace: number
  readonly number: number
}

/** Where one client's events of one workspace go: a list whose order the client may count on. */
interface Stream {
  readonly client: number
  readonly workspace: number
  readonly region: Region
  /** By number, from 1. */
  readonly acknowledged: (Receipt | undefined)[]
  /** The highest number that was ever sent. */
  sent: number
}

const examplesMax = 8

/** What clients were told, held against what is stored. */
export class Streams {
  readonly #streams = new Map<string, Stream>()
  readonly counts: Readonly<Record<Region, StreamCounts>> = Object.fromEntries(
    regions.map((region) => [
      region,
      { acknowledged: 0, queued: 0, lost: 0, doubled: 0, reordered: 0, invented: 0 } satisfies StreamCounts,
    ]),
  ) as Record<Region, StreamCounts>
  /** The first things that were wrong, in words. */
  readonly examples: string[] = []

  /** Reads what clients were told. */
  static async read(attemptsFile: string): Promise<Streams> {
    const streams = new Streams()
    for await (const { client, workspace, region, first, count, receipts } of readAttempts(attemptsFile)) {
      const stream = streams.#of(client, workspace, region)
      stream.sent = Math.max(stream.sent, first + count - 1)
      for (const [index, receipt] of (receipts ?? []).entries()) {
        stream.acknowledged[first + index] = receipt
        const counts = streams.counts[region]
        counts.acknowledged++
        if (receipt.status === 'QUEUED') counts.queued++
      }
    }
    return streams
  }

  /** Everything acknowledged to clients in one workspace, each stream in its order. */
  *acknowledgedIn(workspace: number): Generator<AcknowledgedEvent> {
    for (const stream of this.#streams.values())
      if (stream.workspace === workspace)
        for (const [number, receipt] of stream.acknowledged.entries())
          if (receipt !== undefined) yield { client: stream.client, workspace, number, ...receipt }
  }

  /** Compares one workspace's stored events, in the order of their sequences. Answers them by name. */
  compare(workspace: number, region: Region, stored: readonly StoredEvent[]): ReadonlyMap<string, StoredEvent> {
    const counts = this.counts[region]
    const byName = new Map<string, StoredEvent>()
    const newest = new Map<string, number>()
    for (const event of stored) {
      const name = parseEventName(event.action)
      // What the service records by itself is not compared, only verified.
      if (name === null) continue
      const stream = this.#streams.get(`${name.client}/${name.workspace}`)
      if (name.workspace !== workspace || stream === undefined || name.number > stream.sent) {
        counts.invented++
        this.#say(`${event.action} at ${event.sequence} of workspace ${workspace} was never sent there`)
        continue
      }
      if (byName.has(event.action)) {
        counts.doubled++
        this.#say(`${event.action} is at ${byName.get(event.action)!.sequence} and at ${event.sequence}`)
        continue
      }
      byName.set(event.action, event)
      const key = `${name.client}/${name.workspace}`
      const before = newest.get(key) ?? 0
      if (name.number < before) {
        counts.reordered++
        this.#say(`${event.action} at ${event.sequence} comes after number ${before}`)
      } else newest.set(key, name.number)
    }
    for (const { client, number, status } of this.acknowledgedIn(workspace)) {
      const name = eventName(client, workspace, number)
      if (byName.has(name)) continue
      counts.lost++
      this.#say(`${name} was acknowledged (${status}) and is nowhere`)
    }
    return byName
  }

  #of(client: number, workspace: number, region: Region): Stream {
    const key = `${client}/${workspace}`
    let stream = this.#streams.get(key)
    if (stream === undefined) {
      stream = { client, workspace, region, acknowledged: [], sent: 0 }
      this.#streams.set(key, stream)
    }
    return stream
  }

  #say(what: string): void {
    if (this.examples.length < examplesMax) this.examples.push(what)
  }
}
