import { createHmac, hash, type KeyObject } from 'node:crypto'

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
/** Longer messages, which are rare, take the usual way. */
const MESSAGE_BYTES_MAX = 4_096
const UTF8_BYTES_PER_UNIT_MAX = 3

/** What HMAC puts before message and inner digest: the key, padded to a block, XORed with a constant (RFC 2104). */
interface Pads {
  readonly inner: Buffer
  readonly outer: Buffer
}

// Gone with their key.
const padsOfKeys = new WeakMap<KeyObject, Pads>()
const innerBlock = Buffer.alloc(BLOCK_BYTES + MESSAGE_BYTES_MAX)
const outerBlock = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES)

function padsOf(key: KeyObject): Pads {
  let pads = padsOfKeys.get(key)
  if (pads === undefined) {
    const secret = key.export()
    const padded = (constant: number): Buffer => {
      const pad = Buffer.alloc(BLOCK_BYTES, constant)
      for (const [index, byte] of secret.entries()) pad[index] = byte ^ constant
      return pad
    }
    pads = { inner: padded(0x36), outer: padded(0x5c) }
    secret.fill(0)
    padsOfKeys.set(key, pads)
  }
  return pads
}

/**
 * HMAC-SHA-256 of a text's UTF-8, 32 bytes. Written out as the two hashes it is: an Hmac object of node:crypto costs
 * several times as much as it computes, and an event wants half a dozen of them.
 */
export function hmacSha256(key: KeyObject, message: string): Buffer {
  if (
    message.length * UTF8_BYTES_PER_UNIT_MAX > MESSAGE_BYTES_MAX ||
    (key.symmetricKeySize ?? Number.POSITIVE_INFINITY) > BLOCK_BYTES
  )
    return createHmac('sha256', key).update(message).digest()
  const { inner, outer } = padsOf(key)
  innerBlock.set(inner)
  const end = BLOCK_BYTES + innerBlock.write(message, BLOCK_BYTES, 'utf8')
  outerBlock.set(outer)
  // One-shot hashes answer texts twice as fast as Buffers.
  outerBlock.write(hash('sha256', innerBlock.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1')
  return Buffer.from(hash('sha256', outerBlock, 'binary'), 'latin1')
}
