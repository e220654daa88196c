import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import { type ArchiveLine, NotAnArchiveLine, readArchiveLine } from './archive-line.js'

/** Sealed blobs don't compress; bodies and base64 do, at any level. */
const COMPRESSION_LEVEL = 6
/** A body is at most some hundred KiB; what has no newline for so long is no archive object. */
const LINE_CHARACTERS_MAX = 16 * 1024 * 1024

/** What has been seen of a stream of bytes, once it has ended. */
export interface SeenBytes {
  sizeBytes: number
  sha256: Buffer | null
}

/** Passes bytes on and counts and hashes them. */
export async function* watched(bytes: AsyncIterable<Uint8Array>, seen: SeenBytes): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  seen.sizeBytes = 0
  for await (const chunk of bytes) {
    hash.update(chunk)
    seen.sizeBytes += chunk.length
    yield chunk
  }
  seen.sha256 = hash.digest()
}

/** The bytes of an object with these texts as lines. What `texts` throws comes out. */
export const compressed = (texts: AsyncIterable<string>): AsyncIterable<Uint8Array> => {
  const params = { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL, [constants.ZSTD_c_checksumFlag]: 1 }
  const source = Readable.from(texts, { objectMode: true, highWaterMark: 4 })
  const encoder = createZstdCompress({ params })
  // A pipe hands no failure on.
  source.once('error', (error) => encoder.destroy(error))
  return source.pipe(encoder)
}

/** The lines of an object's bytes, in order. Throws NotAnArchiveLine, zlib's errors, and what `bytes` throws. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveLine> {
  const source = Readable.from(bytes)
  const decoder = createZstdDecompress()
  const piped = pipeline(source, decoder)
  // What goes wrong comes out of the decoder; this is only waited for.
  piped.catch(() => undefined)
  try {
    yield* splitLines(decoder)
    // The last line can come before the last byte was seen.
    await piped
  } finally {
    // Whoever stops early leaves no connection open.
    source.destroy()
  }
}

async function* splitLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveLine> {
  const text = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const chunk of bytes) {
    const parts = (rest + text.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop()!
    if (rest.length > LINE_CHARACTERS_MAX) throw new NotAnArchiveLine('a line is too long')
    for (const part of parts) yield readArchiveLine(part)
  }
  rest += text.decode()
  // The last line ends too: of what follows it something was cut off.
  if (rest !== '') yield readArchiveLine(rest)
}
