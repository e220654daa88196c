import { SingleBar, Presets } from 'cli-progress'
import type { IngestTally } from './ingest-send.js'

/** How an `ingest` tells how far it is. Everything goes to standard error, so that standard output is the summary. */
export interface IngestProgress {
  update(tally: Readonly<IngestTally>, bytesRead: number): void
  /** A line that stays. */
  line(text: string): void
  stop(): void
}

/** Between two plain lines, so that a log file isn't one line per request. */
const eventsPerLine = 10_000

const doneOf = (tally: Readonly<IngestTally>): number => tally.recorded + tally.queued + tally.replayed + tally.refused

function bar(stream: NodeJS.WriteStream, bytes: number): IngestProgress {
  const single = new SingleBar(
    {
      stream,
      format: '{bar} {percentage} % | {events} events | {rate}/s | {duration_formatted}',
      clearOnComplete: true,
      hideCursor: true,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  )
  const startedMs = performance.now()
  single.start(Math.max(bytes, 1), 0, { events: 0, rate: 0 })
  return {
    update(tally, bytesRead) {
      const events = doneOf(tally)
      const seconds = (performance.now() - startedMs) / 1000
      single.update(Math.min(bytesRead, bytes), { events, rate: Math.round(events / Math.max(seconds, 0.001)) })
    },
    line(text) {
      // The bar is drawn again by its next update.
      stream.write(`\r\u001B[K${text}\n`)
    },
    stop: () => single.stop(),
  }
}

function plainLines(stream: NodeJS.WritableStream): IngestProgress {
  let nextLineAt = eventsPerLine
  return {
    update(tally) {
      const events = doneOf(tally)
      if (events < nextLineAt) return
      nextLineAt = events - (events % eventsPerLine) + eventsPerLine
      stream.write(`${events} events …\n`)
    },
    line: (text) => void stream.write(`${text}\n`),
    stop: () => undefined,
  }
}

/** A bar on a terminal where the size of the input is known, plain lines elsewhere. */
export function createProgress(stream: NodeJS.WriteStream, bytesTotal: number | null): IngestProgress {
  return stream.isTTY && bytesTotal !== null ? bar(stream, bytesTotal) : plainLines(stream)
}
