const HEADER_BYTES = 20

/** The elements of a one-dimensional array in PostgreSQL's binary form (array_send), as views of its bytes. */
export function elementsOf(array: Buffer): (Buffer | null)[] {
  if (array.readInt32BE(0) === 0) return []
  const elements = new Array<Buffer | null>(array.readInt32BE(12))
  let at = HEADER_BYTES
  for (let index = 0; index < elements.length; index++) {
    const length = array.readInt32BE(at)
    at += 4
    elements[index] = length < 0 ? null : array.subarray(at, at + length)
    if (length > 0) at += length
  }
  return elements
}

/** {@link elementsOf} an array without nulls. */
export function bytesOf(array: Buffer): Buffer[] {
  return elementsOf(array).map((element) => {
    if (element === null) throw new TypeError('an array has a null where none can be')
    return element
  })
}

/** Of a `bigint[]` or `integer[]` without nulls. */
export const numbersOf = (array: Buffer): number[] =>
  bytesOf(array).map((bytes) => (bytes.length === 8 ? Number(bytes.readBigInt64BE()) : bytes.readInt32BE()))
