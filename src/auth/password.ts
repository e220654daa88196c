import { argon2, timingSafeEqual, type Argon2Parameters } from 'node:crypto'
import { promisify } from 'node:util'
import { randomBytes } from '../kernel/random.js'

const derive = promisify(argon2)

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane; about 25 ms. */
const MEMORY_KIB = 19_456
const PASSES = 2
const LANES = 1
const SALT_BYTES = 16
const HASH_BYTES = 32

/** Beyond these a stored hash was not written by us, and checking it would be an attack on our own memory. */
const MEMORY_KIB_MAX = 1_048_576
const PASSES_MAX = 64
const LANES_MAX = 64

const phc = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

/**
 * What is stored of a password: argon2id with a fresh salt, as a PHC string
 * (https://github.com/P-H-C/phc-string-format), which carries its parameters so that they can be raised later.
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const parameters: Argon2Parameters = {
    message: password.normalize('NFKC'),
    nonce: salt,
    parallelism: LANES,
    tagLength: HASH_BYTES,
    memory: MEMORY_KIB,
    passes: PASSES,
  }
  const hash = await derive('argon2id', parameters)
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${unpadded(salt)}$${unpadded(hash)}`
}

/** Whether the password is the one a PHC string was made of. False, too, for a string that is none of ours. */
export async function verifyPassword(stored: string, password: string): Promise<boolean> {
  const match = phc.exec(stored)
  if (match === null) return false
  const [memory, passes, parallelism] = match.slice(1, 4).map(Number) as [number, number, number]
  if (memory > MEMORY_KIB_MAX || passes > PASSES_MAX || parallelism > LANES_MAX) return false
  const expected = Buffer.from(match[5]!, 'base64')
  const hash = await derive('argon2id', {
    message: password.normalize('NFKC'),
    nonce: Buffer.from(match[4]!, 'base64'),
    parallelism,
    tagLength: expected.length,
    memory,
    passes,
  })
  return timingSafeEqual(hash, expected)
}

/**
 * A hash of no password, with today's parameters: who signs in to an account that doesn't exist waits as long as for
 * one that does.
 */
export const decoyHash = `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${unpadded(randomBytes(SALT_BYTES))}$${unpadded(randomBytes(HASH_BYTES))}`

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
