import { createHash } from 'node:crypto'
import { ObjectDigestError } from './object-errors.js'

const MIB = 1024 * 1024
const partBytesFirst = 16 * MIB
/** Every so many parts, parts get twice as big. */
const partsPerSize = 2_000

/** A body cut into pieces that a store takes one at a time. */
export interface BodyPart {
  /** From 1. */
  readonly number: number
  readonly bytes: Buffer
  /** True for the one that ends the body; the only one may be empty. */
  readonly last: boolean
}

export interface BodyPartsOptions {
  /** Of the first parts; 16 MiB unless said otherwise. */
  readonly partBytes?: number | undefined
}

/**
 * Cuts a body into parts of 16 MiB, of which two are in memory at a time. A store takes at most 10,000 (S3) of them, and
 * how long a body is isn't known until it ends: so parts double every 2,000, which is a terabyte in all.
 */
export async function* partsOf(
  body: AsyncIterable<Uint8Array>,
  { partBytes = partBytesFirst }: BodyPartsOptions = {},
): AsyncGenerator<BodyPart> {
  let number = 1
  let size = partBytes
  let pieces: Uint8Array[] = []
  let gathered = 0
  for await (const chunk of body) {
    let rest = chunk
    // A part is handed out only when there is more: the last one has to be known as such.
    while (gathered + rest.length > size) {
      const fitting = size - gathered
      yield { number, bytes: Buffer.concat([...pieces, rest.subarray(0, fitting)]), last: false }
      rest = rest.subarray(fitting)
      pieces = []
      gathered = 0
      size = partBytes * 2 ** Math.floor(number / partsPerSize)
      number++
    }
    // A copy: whoever made the body may use its buffer again.
    if (rest.length > 0) pieces.push(Buffer.from(rest))
    gathered += rest.length
  }
  yield { number, bytes: Buffer.concat(pieces), last: true }
}

/** Passes a body on and, before it ends, throws ObjectDigestError where it isn't what its digest says. */
export async function* verified(
  body: AsyncIterable<Uint8Array>,
  key: string,
  sha256: string | undefined,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  for await (const chunk of body) {
    hash.update(chunk)
    yield chunk
  }
  if (sha256 !== undefined && hash.digest('hex') !== sha256) throw new ObjectDigestError(key)
}
