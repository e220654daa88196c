import { fromHex, toBytes } from '../ledger/crypto.js'
import { ExportVerifier } from '../ledger/export-verifier.js'
import { readExportLine } from '../ledger/export-line.js'
import { parseCheckpoint, parseOrigin } from '../ledger/checkpoint.js'
import { type NoteKey, verifyNote } from '../ledger/signed-note.js'
import type { Verdict } from '../ledger/verdict.js'
import { LineSplitter } from './export-text.js'

/** A public key of a log as `/.well-known/hyrelog-keys.json` lists it. */
export interface ExportKey {
  /** `<log name>/<region>`. */
  readonly name: string
  /** Raw public key, hexadecimal. */
  readonly ed25519: string
}

/** A checkpoint that was verified earlier, as {@link ExportVerdict} told it. */
export interface SeenCheckpoint {
  /** `<log name>/ws/<workspace>`. */
  readonly origin: string
  readonly treeSize: number
  /** Hexadecimal. */
  readonly rootHash: string
}

export interface VerifyExportOptions {
  /** The log's keys, from a source that is not the export. Without them the verdict says that the signer is not pinned. */
  readonly keys?: readonly ExportKey[]
  /** The log the export must be of. */
  readonly logName?: string
  /** The workspace (UUID) the export must be of; that of its first event unless given. */
  readonly workspaceId?: string
  /** Checkpoints kept from earlier, of any logs and workspaces: the export must continue those of its own. */
  readonly seen?: readonly SeenCheckpoint[]
  /** Told now and then how many bytes (of UTF-8) have been read. */
  readonly onProgress?: (bytesRead: number) => void
  readonly signal?: AbortSignal
}

/** What an export came to. `checkpoint` is what to keep for the next time. */
export type ExportVerdict = Verdict

/** After this long, whatever else the thread has to do comes between. */
const SLICE_MS = 50

/** The text of an NDJSON export, in pieces of any size: from a file, a download, a `File` of a browser. */
export type ExportSource = AsyncIterable<string | Uint8Array> | ReadableStream<string | Uint8Array>

/**
 * Verifies an NDJSON export with nothing but what is given here: no network, no service. Reads the source once, a piece
 * at a time, and no further than the first break. Whatever the export holds there is a verdict; only the source's own
 * errors, and the signal's reason, are thrown.
 */
export async function verifyExport(source: ExportSource, options: VerifyExportOptions = {}): Promise<ExportVerdict> {
  const reading = new ExportReading(options)
  const lines = new LineSplitter((line) => reading.line(line))
  let pausedAt = performance.now()
  for await (const piece of piecesOf(source)) {
    options.signal?.throwIfAborted()
    const goesOn = lines.push(piece)
    if (performance.now() - pausedAt > SLICE_MS) {
      options.onProgress?.(lines.bytesRead)
      await new Promise((resolve) => setTimeout(resolve))
      pausedAt = performance.now()
    }
    if (!goesOn) break
  }
  lines.end()
  options.onProgress?.(lines.bytesRead)
  return reading.finish()
}

async function* piecesOf(source: ExportSource): AsyncGenerator<string | Uint8Array> {
  // Not every browser can iterate over a stream.
  if (!('getReader' in source)) {
    yield* source
    return
  }
  const reader = source.getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** One export, line by line. */
class ExportReading {
  readonly #options: VerifyExportOptions
  readonly #keys: readonly NoteKey[]
  #verifier: ExportVerifier | null = null
  #end: { readonly note: string; readonly publicKeys: readonly NoteKey[] } | null = null

  constructor(options: VerifyExportOptions) {
    this.#options = options
    this.#keys = (options.keys ?? []).map(toNoteKey)
  }

  /** Takes a line; null for one that is no text. False where the rest need not be read. */
  line(text: string | null): boolean {
    this.#verifier ??= this.#verifierFor(text)
    // A line that is no text is no JSON either.
    if (text === null) return this.#verifier.line('not UTF-8, or too long')
    if (text.startsWith('{"checkpoint"')) {
      const line = readExportLine(text)
      if (line.kind === 'checkpoint') this.#end = line
    }
    return this.#verifier.line(text)
  }

  finish(): ExportVerdict {
    const verdict = (this.#verifier ?? this.#verifierFor(null)).finish()
    return verdict.ok && this.#carriesStrangeKey() ? strangeKey(verdict) : verdict
  }

  /**
   * Which checkpoints are to be compared shows in the first line: which workspace it is of. Whether it truly is, the
   * verifier finds out.
   */
  #verifierFor(firstLine: string | null): ExportVerifier {
    const { logName, workspaceId, seen = [] } = this.#options
    const workspace = workspaceId ?? (firstLine === null ? null : workspaceOf(firstLine))
    const earlier = seen.flatMap(({ origin, treeSize, rootHash }) => {
      const of = parseOrigin(origin)
      const concerns = of !== null && of.workspaceId === workspace && (logName === undefined || of.logName === logName)
      return concerns ? [{ treeSize, rootHash: fromHex(rootHash) }] : []
    })
    return new ExportVerifier({
      earlier,
      ...(this.#keys.length === 0 ? {} : { keys: this.#keys }),
      ...(logName === undefined ? {} : { logName }),
      ...(workspaceId === undefined ? {} : { workspaceId }),
    })
  }

  /** A key that came along, is none of those given, and did not sign: somebody altered the line. */
  #carriesStrangeKey(): boolean {
    if (this.#end === null || this.#keys.length === 0) return false
    const note = parseCheckpoint(this.#end.note)?.note
    return this.#end.publicKeys.some((carried) => {
      const isGiven = this.#keys.some((key) => key.name === carried.name && isSame(key.publicKey, carried.publicKey))
      return !isGiven && (note === undefined || verifyNote(note, [carried]) === null)
    })
  }
}

function strangeKey(verdict: ExportVerdict): ExportVerdict {
  const detail = 'a public key in the export is none of those given, and did not sign the checkpoint'
  const sequence = verdict.checkpoint?.treeSize ?? verdict.toSequence
  return {
    ...verdict,
    ok: false,
    outcome: 'INVALID',
    checkpoint: null,
    firstBreak: { sequence, eventId: null, reason: 'CHECKPOINT_MISMATCH', detail },
    statement: `CHECKPOINT_MISMATCH at ${sequence}: ${detail}`,
  }
}

function workspaceOf(line: string): string | null {
  const read = readExportLine(line)
  if (read.kind === 'checkpoint') return parseOrigin(parseCheckpoint(read.note)?.origin ?? '')?.workspaceId ?? null
  if (read.kind !== 'event') return null
  try {
    const { workspace } = JSON.parse(read.event.body) as { workspace?: unknown }
    return typeof workspace === 'string' ? workspace : null
  } catch {
    return null
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, at) => byte === b[at])

function toNoteKey({ name, ed25519 }: ExportKey): NoteKey {
  if (typeof name !== 'string' || !/^[0-9a-f]{64}$/i.test(ed25519))
    throw new TypeError('A key is a name and 64 hexadecimal characters (ed25519).')
  return { name, publicKey: toBytes(fromHex(ed25519.toLowerCase())) }
}
