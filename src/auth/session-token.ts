import { createHash } from 'node:crypto'
import { randomBytes } from '../kernel/random.js'

/** A session ends after this long without a request. */
export const SESSION_IDLE_MS = 30 * 60_000
/** A session ends after this long, however busy it is. */
export const SESSION_AGE_MS_MAX = 12 * 60 * 60_000
/** How exactly it is known when a session was last used: one write a minute, whatever the traffic. */
export const SESSION_SEEN_EVERY_MS = 60_000
/** Requests that were under way when a session got a new id still count for this long. */
export const SESSION_RENEWAL_GRACE_MS = 10_000
/** Beyond these the oldest session of an account ends when another begins. */
export const SESSIONS_PER_USER_MAX = 20

const TOKEN_BYTES = 32
const form = /^[A-Za-z0-9_-]{43}$/

/** A fresh opaque token of 256 random bits: a session's id, or an invitation. */
export const newToken = (): string => randomBytes(TOKEN_BYTES).toString('base64url')

/** What is stored of a token, and looked up by: its SHA-256. Null for a text that is none of ours. */
export const tokenHash = (token: string): Buffer | null =>
  form.test(token) ? createHash('sha256').update(token).digest() : null
