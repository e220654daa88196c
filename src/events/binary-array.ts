/**
 * PostgreSQL's binary form of one-dimensional arrays (src/backend/utils/adt/arrayfuncs.c, array_recv). As text a batch
 * of blobs doubles in hexadecimal on the way and is parsed twice; a Buffer parameter is sent as binary by node-postgres.
 */
const oids = { bytea: 17, bigint: 20, smallint: 21, integer: 23, text: 25, timestamptz: 1184, uuid: 2950 } as const
const HEADER_BYTES = 20
const postgresEpochMs = BigInt(Date.UTC(2000, 0, 1))

function begin(oid: number, count: number, bytes: number, nullable: boolean): Buffer {
  // An empty array has no dimension, and so neither a length nor a lower bound.
  const buffer = Buffer.allocUnsafe(count === 0 ? 12 : HEADER_BYTES + count * 4 + bytes)
  buffer.writeInt32BE(count === 0 ? 0 : 1, 0)
  buffer.writeInt32BE(nullable ? 1 : 0, 4)
  buffer.writeInt32BE(oid, 8)
  if (count > 0) {
    buffer.writeInt32BE(count, 12)
    buffer.writeInt32BE(1, 16)
  }
  return buffer
}

function fixedArray<Item>(
  oid: number,
  size: number,
  items: readonly (Item | null)[],
  write: (buffer: Buffer, item: Item, at: number) => void,
): Buffer {
  let present = 0
  for (const item of items) if (item !== null) present++
  const buffer = begin(oid, items.length, present * size, present < items.length)
  let at = HEADER_BYTES
  for (const item of items) {
    at = buffer.writeInt32BE(item === null ? -1 : size, at)
    if (item === null) continue
    write(buffer, item, at)
    at += size
  }
  return buffer
}

/** `uuid[]` of UUIDs in their usual text form. */
export const uuidArray = (items: readonly (string | null)[]): Buffer =>
  fixedArray(oids.uuid, 16, items, (buffer, item, at) => buffer.write(item.replaceAll('-', ''), at, 'hex'))

/** `bigint[]` of safe integers. */
export const bigintArray = (items: readonly number[]): Buffer =>
  fixedArray(oids.bigint, 8, items, (buffer, item, at) => buffer.writeBigInt64BE(BigInt(item), at))

/** `integer[]`. */
export const integerArray = (items: readonly number[]): Buffer =>
  fixedArray(oids.integer, 4, items, (buffer, item, at) => buffer.writeInt32BE(item, at))

/** `smallint[]`. */
export const smallintArray = (items: readonly number[]): Buffer =>
  fixedArray(oids.smallint, 2, items, (buffer, item, at) => buffer.writeInt16BE(item, at))

/** `timestamptz[]`. */
export const timestampArray = (items: readonly Date[]): Buffer =>
  fixedArray(oids.timestamptz, 8, items, (buffer, item, at) =>
    buffer.writeBigInt64BE((BigInt(item.getTime()) - postgresEpochMs) * 1000n, at),
  )

/** `bytea[]`. */
export function byteaArray(items: readonly (Uint8Array | null)[]): Buffer {
  let bytes = 0
  let nullable = false
  for (const item of items) {
    if (item === null) nullable = true
    else bytes += item.length
  }
  const buffer = begin(oids.bytea, items.length, bytes, nullable)
  let at = HEADER_BYTES
  for (const item of items) {
    at = buffer.writeInt32BE(item === null ? -1 : item.length, at)
    if (item === null) continue
    buffer.set(item, at)
    at += item.length
  }
  return buffer
}

/** `text[]`; the texts hold no NUL and no lone surrogate. */
export function textArray(items: readonly (string | null)[]): Buffer {
  let bytes = 0
  let nullable = false
  for (const item of items) {
    if (item === null) nullable = true
    else bytes += Buffer.byteLength(item)
  }
  const buffer = begin(oids.text, items.length, bytes, nullable)
  let at = HEADER_BYTES
  for (const item of items) {
    if (item === null) {
      at = buffer.writeInt32BE(-1, at)
      continue
    }
    const written = buffer.write(item, at + 4, 'utf8')
    buffer.writeInt32BE(written, at)
    at += 4 + written
  }
  return buffer
}
