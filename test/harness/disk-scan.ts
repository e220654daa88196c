import { createDecipheriv, createHash, type KeyObject } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'

/** Something that is looked for, byte for byte. */
export interface Needle {
  readonly name: string
  readonly bytes: Buffer
}

/** The ways in which a text may stand on a disk or in a table. */
export function needlesOf(name: string, text: string): Needle[] {
  const spelt = new Set([text, text.toLowerCase(), text.toUpperCase()])
  const needles: Needle[] = []
  const add = (how: string, bytes: Buffer | string): void => {
    needles.push({ name: `${name} (${how})`, bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes })
  }
  for (const one of spelt) {
    const bytes = Buffer.from(one, 'utf8')
    add('text', one)
    const escaped = [...one]
      .map((char) => (char > '~' ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : char))
      .join('')
    if (escaped !== one) add('JSON-escaped', escaped)
    add('hex', bytes.toString('hex'))
    add('HEX', bytes.toString('hex').toUpperCase())
    for (let shift = 0; shift < 3; shift++) add('base64', base64At(bytes, shift))
    const digest = createHash('sha256').update(bytes).digest()
    add('SHA-256', digest)
    add('SHA-256 in hex', digest.toString('hex'))
    add('SHA-256 in base64', digest.toString('base64'))
  }
  return needles
}

/** What is the same in base64 wherever the bytes begin: the characters that depend on nothing around them. */
function base64At(bytes: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString('base64')
    .replace(/=+$/, '')
  return text.slice(Math.ceil((shift * 4) / 3), Math.floor(((shift + bytes.length) * 8) / 6))
}

/** Every file below a folder, whole; of archive objects what is in them besides, with their sealed blobs as bytes. */
export async function* filesBelow(folder: string): AsyncGenerator<{ path: string; bytes: Buffer }> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    yield { path, bytes }
    if (!entry.name.endsWith('.ndjson.zst')) continue
    const lines = zstdDecompressSync(bytes)
    yield { path: `${path} unpacked`, bytes: lines }
    for (const line of lines.toString('utf8').trimEnd().split('\n')) {
      const { identity, content } = JSON.parse(line) as Record<'identity' | 'content', string | null>
      for (const blob of [identity, content])
        if (blob !== null) yield { path: `${path} unsealed`, bytes: Buffer.from(blob, 'base64') }
    }
  }
}

const PREFIX_BITS = 24

/** Many needles, looked for in one pass over the bytes: by their first three bytes, then whole. */
export class NeedleSet {
  readonly #begins = new Uint8Array(1 << PREFIX_BITS)
  readonly #byPrefix: ReadonlyMap<number, readonly Needle[]>

  constructor(needles: readonly Needle[]) {
    this.#byPrefix = Map.groupBy(needles, ({ bytes }) => bytes.readUIntLE(0, 3))
    for (const prefix of this.#byPrefix.keys()) this.#begins[prefix] = 1
  }

  /** Where each needle stands that is there at all. */
  placesIn(bytes: Buffer): Map<Needle, number[]> {
    const places = new Map<Needle, number[]>()
    const begins = this.#begins
    for (let at = 0; at + 2 < bytes.length; at++) {
      const prefix = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
      if (begins[prefix] === 0) continue
      for (const needle of this.#byPrefix.get(prefix)!) {
        if (
          bytes.compare(needle.bytes, 0, needle.bytes.length, at, Math.min(at + needle.bytes.length, bytes.length)) !==
          0
        )
          continue
        const known = places.get(needle)
        if (known === undefined) places.set(needle, [at])
        else known.push(at)
      }
    }
    return places
  }
}

const BLOB_CHARACTERS_MAX = 4_000

/**
 * What blobs sealed by a key say, whole or not, that may begin one byte before each of these places of its id: GCM
 * deciphers without its tag as the counter mode it is.
 */
export function openBlobs(bytes: Buffer, places: readonly number[], key: KeyObject): string[] {
  return places.flatMap((place) => {
    const at = place - 1
    const nonce = bytes.subarray(at + 17, at + 29)
    if (at < 0 || bytes[at] !== 1 || nonce.length < 12) return []
    const sealed = bytes.subarray(at + 29, at + 29 + BLOB_CHARACTERS_MAX)
    const counter = Buffer.concat([nonce, Buffer.of(0, 0, 0, 2)])
    return [createDecipheriv('aes-256-ctr', key, counter).update(sealed).toString('utf8')]
  })
}
