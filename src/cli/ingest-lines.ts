/** A line longer than this is no event: the service takes 64 KiB of JSON in one. */
const lineBytesMax = 4 * 1024 * 1024
const newline = 0x0a
const carriageReturn = 0x0d

/** A text that is not UTF-8 is refused, not mended: replacement characters would be recorded for ever. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}

/**
 * The lines of a byte stream without their ends (LF or CRLF); null for one that is too long or not UTF-8. The last line
 * may lack its end; an end at the very end begins no further line.
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string | null> {
  let pending: Uint8Array[] = []
  let pendingBytes = 0
  const take = (end: Uint8Array): string | null => {
    const bytes = pending.length === 0 ? end : Buffer.concat([...pending, end])
    const tooLong = pendingBytes + end.length > lineBytesMax
    pending = []
    pendingBytes = 0
    if (tooLong) return null
    return decodeUtf8(bytes.at(-1) === carriageReturn ? bytes.subarray(0, -1) : bytes)
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      yield take(chunk.subarray(start, end))
      start = end + 1
    }
    const rest = chunk.subarray(start)
    // What is already too long isn't gathered any further.
    if (pendingBytes <= lineBytesMax) pending.push(rest)
    pendingBytes += rest.length
  }
  if (pendingBytes > 0) yield take(new Uint8Array())
}
