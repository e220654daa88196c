import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

const GZIP_MAGIC = [0x1f, 0x8b]

/** An export to verify: its bytes, unpacked, and what was wrong with the packing. */
export interface VerifySource {
  readonly pieces: AsyncIterable<Uint8Array>
  /** Bytes as stored that have been read. */
  readonly bytesRead: () => number
  /** Bytes as stored; null where that isn't known. */
  readonly bytesTotal: number | null
  /** After the last piece: `CUT` where a packed file ends too early, `DAMAGED` where it is no gzip. */
  readonly damage: () => 'CUT' | 'DAMAGED' | null
}

/** Opens a file, or (`-`) standard input; unpacks what begins as gzip does. Throws what opening the file throws. */
export async function openSource(file: string, stdin: Readable): Promise<VerifySource> {
  const found = file === '-' ? null : await stat(file)
  const raw = file === '-' ? stdin : createReadStream(file)
  let bytesRead = 0
  let damage: 'CUT' | 'DAMAGED' | null = null
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of raw as AsyncIterable<Buffer>) {
      bytesRead += chunk.length
      yield chunk
    }
  }
  return {
    pieces: piecesOf(counted(), (code) => (damage = code === 'Z_BUF_ERROR' ? 'CUT' : 'DAMAGED')),
    bytesRead: () => bytesRead,
    bytesTotal: found !== null && found.isFile() ? found.size : null,
    damage: () => damage,
  }
}

async function* piecesOf(chunks: AsyncGenerator<Buffer>, onDamage: (code: string) => void): AsyncGenerator<Buffer> {
  let start = Buffer.alloc(0)
  while (start.length < GZIP_MAGIC.length) {
    const next = await chunks.next()
    if (next.done === true) break
    start = Buffer.concat([start, next.value])
  }
  const all = startingWith(start, chunks)
  if (!GZIP_MAGIC.every((byte, at) => start[at] === byte)) {
    yield* all
    return
  }
  const source = Readable.from(all)
  const gunzip = createGunzip()
  source.once('error', (error) => gunzip.destroy(error))
  try {
    yield* source.pipe(gunzip) as AsyncIterable<Buffer>
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code?.startsWith('Z_') !== true) throw error
    onDamage(code)
  }
}

async function* startingWith(start: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  if (start.length > 0) yield start
  yield* rest
}
