import { createHmac, timingSafeEqual } from 'node:crypto'

/** Time-based one-time passwords (RFC 6238 over RFC 4226) as every authenticator app has them: SHA-1, 6 digits, 30 s. */
const STEP_SECONDS = 30
const DIGITS = 6
/** A code counts one step before and after its own: clocks differ, and people type slowly. */
const STEPS_OFF_MAX = 1
export const TOTP_SECRET_BYTES = 20

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The time step a moment lies in. */
export const totpStep = (at: Date): number => Math.floor(at.getTime() / 1000 / STEP_SECONDS)

/** The code of a time step, six digits. */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  // RFC 4226 section 5.3, dynamic truncation.
  const offset = mac[mac.length - 1]! & 0xf
  const number = mac.readUInt32BE(offset) & 0x7fff_ffff
  return String(number % 10 ** DIGITS).padStart(DIGITS, '0')
}

/**
 * The time step whose code this is, or null where it is none of now. Only steps after `lastStep` count: a code that was
 * taken once, and every one before it, is refused from then on.
 */
export function acceptedStep(secret: Uint8Array, code: string, now: Date, lastStep: number): number | null {
  const digits = code.replaceAll(' ', '')
  if (!/^\d{6}$/.test(digits)) return null
  const current = totpStep(now)
  let accepted: number | null = null
  for (let step = current - STEPS_OFF_MAX; step <= current + STEPS_OFF_MAX; step++)
    if (timingSafeEqual(Buffer.from(totpCode(secret, step)), Buffer.from(digits)) && step > lastStep) accepted ??= step
  return accepted
}

/** RFC 4648 base32 without padding, the form in which people type a secret. */
export function base32Text(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += base32[(value >>> bits) & 31]!
    }
    value &= (1 << bits) - 1
  }
  return bits > 0 ? text + base32[(value << (5 - bits)) & 31]! : text
}

/** The address an authenticator app takes as a QR code (Key URI Format). */
export function totpUri(secret: Uint8Array, account: string): string {
  const label = `HyreLog:${account}`
  return `otpauth://totp/${encodeURIComponent(label)}?secret=${base32Text(secret)}&issuer=HyreLog&algorithm=SHA1&digits=${DIGITS}&period=${STEP_SECONDS}`
}
