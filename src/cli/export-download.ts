import { setTimeout as wait } from 'node:timers/promises'
import type { Export } from '../sdk/index.js'
import type { ExportSink } from './export-sink.js'

/** Attempts without a single new byte. */
const FRUITLESS_ATTEMPTS_MAX = 5
const BACKOFF_MS = 250
/** A connection that says nothing for so long is given up and made anew. */
const SILENCE_MS_MAX = 60_000

/** A download that can't be completed; its message is for people. */
export class DownloadFailed extends Error {
  override readonly name = 'DownloadFailed'
}

export interface DownloadOptions {
  readonly endpoint: string
  /** The export as it is now, with a fresh link. */
  readonly look: () => Promise<Export | null>
  readonly sink: ExportSink
  readonly onBytes: (bytes: number, total: number) => void
}

/**
 * Downloads a finished export into the sink, going on after interruptions from where it stopped, and compares the
 * SHA-256. Throws {@link DownloadFailed}.
 */
export async function downloadExport(options: DownloadOptions): Promise<Export> {
  const { sink, look } = options
  for (let fruitless = 0; ;) {
    const about = await look()
    if (about === null || about.status !== 'DONE' || about.downloadUrl === null || about.sizeBytes === null)
      throw new DownloadFailed('The export is no longer there: ask for a new one.')
    if (sink.bytes > about.sizeBytes && !(await sink.restart())) throw new DownloadFailed('More came than there is.')
    const before = sink.bytes
    const problem = before === about.sizeBytes ? null : await fetchRest(options, about)
    if (sink.bytes === about.sizeBytes) {
      if (sink.digest() === about.sha256) return about
      if (!(await sink.restart())) throw new DownloadFailed('What came has another SHA-256 than the export.')
    }
    fruitless = sink.bytes > before ? 0 : fruitless + 1
    if (fruitless >= FRUITLESS_ATTEMPTS_MAX) throw new DownloadFailed(`The download failed: ${problem ?? 'no data'}.`)
    if (fruitless > 0) await wait(BACKOFF_MS * 2 ** (fruitless - 1))
  }
}

/** Fetches from where the sink stands; answers why it ended, or null. */
async function fetchRest({ endpoint, sink, onBytes }: DownloadOptions, about: Export): Promise<string | null> {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), SILENCE_MS_MAX)
  try {
    const response = await fetch(new URL(about.downloadUrl!, endpoint), {
      headers: sink.bytes === 0 ? {} : { range: `bytes=${sink.bytes}-`, 'if-range': `"${about.sha256}"` },
      signal: silence.signal,
    })
    if (response.status === 200 && sink.bytes > 0 && !(await sink.restart()))
      throw new DownloadFailed('The server can not go on from where the download stopped.')
    if (!response.ok || response.body === null) {
      await response.body?.cancel()
      return `HTTP ${response.status}`
    }
    for await (const chunk of response.body) {
      timer.refresh()
      await sink.write(chunk)
      onBytes(sink.bytes, about.sizeBytes!)
    }
    return null
  } catch (error) {
    if (error instanceof DownloadFailed || isSinksFault(error)) throw error
    return silence.signal.aborted ? 'the server fell silent' : 'the connection broke'
  } finally {
    clearTimeout(timer)
  }
}

/** A full disk or a closed pipe isn't mended by asking again. */
const isSinksFault = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && error.syscall === 'write'
