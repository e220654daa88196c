import { createHmac, createSecretKey, hash, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'
import { canonicalJson, type JsonValue } from './canonical-json.js'
import { badInput } from './domain-error.js'
import { uuidFromBytes, uuidToBytes } from './ids.js'

/** A place in a list that is ordered by a time, then by an id. */
export interface KeysetPosition {
  readonly timeMs: number
  readonly uuid: string
}

/** Makes and reads the cursors of one list: one kind, one tenant, one filter. */
export interface CursorCodec {
  /** The cursor of a position. */
  encode(position: KeysetPosition): string
  /** The position of a cursor made by this codec. `BAD_USER_INPUT` naming `field` for any other text. */
  decode(text: string, field: string): KeysetPosition
}

const version = 1
const positionBytes = 25
const macBytes = 16
const cursorTextLength = 55

/** The key that signs cursors, derived (RFC 5869) from a secret of the server that has another use. */
export const deriveCursorKey = (secret: KeyObject): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'hyrelog cursor 1', 32)))

/**
 * A codec for the list that `scope` describes. A cursor is `version1 ‖ time8 ‖ id16 ‖ mac16` in base64url; the MAC's key
 * depends on the scope, so that a cursor made up, altered, or taken from a list with another filter, tenant or kind is refused
 * instead of quietly skipping events. It names a position and nothing else: any process with the same secret reads it.
 */
export function cursorCodec(key: KeyObject, scope: JsonValue): CursorCodec {
  // A key of this list's own, and one plain hash per cursor: with everything hashed of one length, that is a MAC too.
  const listKey = createHmac('sha256', key).update(canonicalJson(scope)).digest()
  const mac = (position: Uint8Array) =>
    hash('sha256', Buffer.concat([listKey, position]), 'buffer').subarray(0, macBytes)
  return {
    encode({ timeMs, uuid }) {
      const bytes = Buffer.alloc(positionBytes)
      bytes[0] = version
      bytes.writeBigInt64BE(BigInt(timeMs), 1)
      uuidToBytes(uuid).copy(bytes, 9)
      return Buffer.concat([bytes, mac(bytes)]).toString('base64url')
    },
    decode(text, field) {
      const refusal = badInput(field, 'is not a cursor of this list with this filter.')
      if (text.length !== cursorTextLength) throw refusal
      const bytes = Buffer.from(text, 'base64url')
      // Decoding is lenient; only the one spelling that we would have written counts.
      if (bytes.length !== positionBytes + macBytes || bytes.toString('base64url') !== text) throw refusal
      const position = bytes.subarray(0, positionBytes)
      if (position[0] !== version || !timingSafeEqual(bytes.subarray(positionBytes), mac(position))) throw refusal
      return { timeMs: Number(position.readBigInt64BE(1)), uuid: uuidFromBytes(position.subarray(9)) }
    },
  }
}
