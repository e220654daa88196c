import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { JSON_FAULTS_MAX, scanJson } from '../kernel/strict-json.js'
import type { IngestEventInput } from '../sdk/index.js'
import { eventOfCloudTrail, type CloudTrailRecord } from './cloudtrail.js'
import { decodeUtf8, linesOf } from './ingest-lines.js'
import { ContentKeys, eventOfLine } from './ndjson.js'

export const ingestFormats = ['cloudtrail', 'ndjson'] as const
export type IngestFormat = (typeof ingestFormats)[number]

/** One record of an input: its event, why it has none, or why its file can't be read any further. */
export type SourceRecord = {
  /** Where it stands, for people: `trail.json.gz:17`, counted from 1 (records, or lines of NDJSON). */
  readonly at: string
  /** How much of all input has been read when this record is done, in bytes as stored. */
  readonly bytesRead: number
} & RecordContent

type RecordContent = { readonly event: IngestEventInput } | { readonly fault: string } | { readonly unreadable: string }

class UnreadableInput extends Error {
  override readonly name = 'UnreadableInput'
}

/** More than CloudTrail delivers in one file by far; a text can't be longer than 512 MiB in Node.js. */
const documentBytesMax = 400 * 1024 * 1024
const gzipMagic = [0x1f, 0x8b]
/** How much of a file is looked at to tell its format, at least where it has as much and at most. */
const startBytesMin = 64
const startBytesMax = 4096

/** Bytes of all files together, or null where one of them (standard input, a pipe) doesn't say. */
export async function totalBytes(files: readonly string[]): Promise<number | null> {
  let total = 0
  for (const file of files) {
    if (file === '-') return null
    const found = await stat(file).catch(() => null)
    if (found !== null && !found.isFile()) return null
    total += found?.size ?? 0
  }
  return total
}

async function* withFirst(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

async function* counted(raw: Readable, onBytes: (count: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of raw as AsyncIterable<Buffer>) {
    onBytes(chunk.length)
    yield chunk
  }
}

async function* unpacked(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = Readable.from(chunks)
  const gunzip = createGunzip()
  source.once('error', (error) => gunzip.destroy(error))
  yield* source.pipe(gunzip) as AsyncIterable<Buffer>
}

/** The beginning and the whole of an input; null where it is empty. A pipe may deliver it byte by byte. */
async function begin(chunks: AsyncIterator<Buffer>): Promise<{ start: Buffer; all: AsyncGenerator<Buffer> } | null> {
  const parts: Buffer[] = []
  let bytes = 0
  while (bytes < startBytesMin) {
    const next = await chunks.next()
    if (next.done === true) break
    parts.push(next.value)
    bytes += next.value.length
  }
  const start = Buffer.concat(parts)
  return bytes === 0 ? null : { start, all: withFirst(start, chunks) }
}

/** As {@link begin}, but unpacked where the input begins with gzip's magic bytes. */
async function open(chunks: AsyncIterator<Buffer>): Promise<{ start: Buffer; all: AsyncIterable<Buffer> } | null> {
  const packed = await begin(chunks)
  if (packed === null || !gzipMagic.every((byte, index) => packed.start[index] === byte)) return packed
  return begin(unpacked(packed.all))
}

/** CloudTrail's files are one object with `Records`; anything else is taken for NDJSON. */
const looksLikeCloudTrail = (start: Buffer): boolean =>
  /^\uFEFF?\s*\{\s*"Records"\s*:/.test(start.subarray(0, startBytesMax).toString('utf8'))

async function readDocument(chunks: AsyncIterable<Buffer>): Promise<{ text: string; value: unknown }> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > documentBytesMax) throw new UnreadableInput(`is larger than ${documentBytesMax / 1024 / 1024} MiB.`)
    parts.push(chunk)
  }
  const text = decodeUtf8(Buffer.concat(parts))
  if (text === null) throw new UnreadableInput('is not UTF-8.')
  try {
    return { text, value: JSON.parse(text) as unknown }
  } catch {
    throw new UnreadableInput('is not JSON.')
  }
}

/** What parsing the document has lost, by the record it was lost in. */
function faultsByRecord(text: string): Map<number, string> {
  const byRecord = new Map<number, string>()
  const { faults } = scanJson(text)
  for (const { path, message } of faults) {
    const found = /^Records\[(\d+)\][.]?(.*)$/s.exec(path)
    if (found === null) throw new UnreadableInput(`is ambiguous: ${path} ${message}`)
    const index = Number(found[1])
    const known = byRecord.get(index)
    byRecord.set(index, `${known === undefined ? '' : `${known} `}${found[2] ?? ''} ${message}`)
  }
  if (faults.length >= JSON_FAULTS_MAX) throw new UnreadableInput('is ambiguous in too many places to list them.')
  return byRecord
}

async function* cloudTrailRecords(chunks: AsyncIterable<Buffer>): AsyncGenerator<RecordContent> {
  const { text, value: document } = await readDocument(chunks)
  const records: unknown =
    typeof document === 'object' && document !== null && 'Records' in document ? document.Records : undefined
  if (!Array.isArray(records)) throw new UnreadableInput('has no list of Records, as a CloudTrail file has.')
  const keys = new ContentKeys()
  const textFaults = faultsByRecord(text)
  for (const [index, record] of (records as readonly unknown[]).entries()) {
    const textFault = textFaults.get(index)
    if (textFault !== undefined) {
      yield { fault: textFault }
      continue
    }
    const isObject = typeof record === 'object' && record !== null && !Array.isArray(record)
    const event = isObject ? eventOfCloudTrail(record as CloudTrailRecord) : null
    yield event === null
      ? { fault: 'is not a CloudTrail record: it lacks eventSource, eventName or eventTime.' }
      : { event: keys.withKey(event) }
  }
}

/** Null for an empty line: no record, but it counts as a line. */
async function* lineRecords(chunks: AsyncIterable<Buffer>): AsyncGenerator<RecordContent | null> {
  const keys = new ContentKeys()
  for await (const line of linesOf(chunks)) {
    if (line === null) yield { fault: 'is too long or not UTF-8.' }
    else if (line.trim() === '') yield null
    else {
      const result = eventOfLine(line)
      yield 'fault' in result ? result : { event: keys.withKey(result) }
    }
  }
}

/**
 * The records of the files, in order; `-` is standard input. Without a format each file's is told by its beginning. A
 * file that can't be read, unpacked or parsed yields one `unreadable` where it fails, and the next file is read.
 */
export async function* readRecords(
  files: readonly string[],
  format: IngestFormat | undefined,
  stdin: Readable,
): AsyncGenerator<SourceRecord> {
  let bytesRead = 0
  for (const file of files) {
    const name = file === '-' ? 'stdin' : basename(file)
    try {
      const raw = file === '-' ? stdin : createReadStream(file)
      const input = await open(counted(raw, (count) => (bytesRead += count)))
      if (input === null) continue
      const isCloudTrail = format === undefined ? looksLikeCloudTrail(input.start) : format === 'cloudtrail'
      let count = 0
      for await (const record of isCloudTrail ? cloudTrailRecords(input.all) : lineRecords(input.all)) {
        count++
        if (record !== null) yield { at: `${name}:${count}`, bytesRead, ...record }
      }
    } catch (error) {
      yield { at: name, bytesRead, unreadable: reasonOf(error) }
    }
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist.',
  EACCES: 'may not be read.',
  EISDIR: 'is a folder, not a file.',
  Z_DATA_ERROR: 'is not a whole gzip file.',
  Z_BUF_ERROR: 'is not a whole gzip file.',
}

/** Only what reading can meet is answered; anything else is a fault of ours and goes on up. */
function reasonOf(error: unknown): string {
  if (error instanceof UnreadableInput) return error.message
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return reasons[error.code] ?? `can't be read (${error.code}).`
  throw error
}
