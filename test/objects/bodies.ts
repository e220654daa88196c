import { createHash } from 'node:crypto'

const MIB = 1024 * 1024

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A body of these texts, one after another. */
export async function* bodyOf(...chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk, 'utf8')
}

/** A body that breaks off after these bytes. */
export async function* brokenBody(bytes: number, error: Error): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(bytes, 1)
  throw error
}

/** Bytes that look like none before them, so many MiB; tells how many were asked for so far. */
export class LongBody {
  producedBytes = 0
  peakBytes = 0
  readonly #hash = createHash('sha256')

  constructor(
    readonly mebibytes: number,
    /** How many of them have left for where they go. */
    readonly gone: () => number = () => 0,
  ) {}

  async *read(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < this.mebibytes * 8; i++) {
      const chunk = Buffer.alloc(MIB / 8, i)
      chunk.writeUInt32BE(i)
      this.#hash.update(chunk)
      this.producedBytes += chunk.length
      this.peakBytes = Math.max(this.peakBytes, this.producedBytes - this.gone())
      yield chunk
    }
  }

  get sha256(): string {
    return this.#hash.copy().digest('hex')
  }
}

/** All of what a store reads out. */
export async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export const textOf = async (body: AsyncIterable<Uint8Array>): Promise<string> => (await bytesOf(body)).toString('utf8')
