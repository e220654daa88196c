import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { NoteSigner } from './signed-note.js'

// Only the service signs: a verifier's build leaves this file out.

// The fixed beginning of a PKCS #8 Ed25519 private key (RFC 8410); the 32 bytes of the seed follow.
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** The Ed25519 private key of a seed of 32 bytes. */
export function signingKeyFromSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new RangeError('the seed of an Ed25519 key has 32 bytes')
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
}

/** The 32 bytes that {@link signingKeyFromSeed} takes up again. */
export const seedOf = (key: KeyObject): Buffer => Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url')

export const generateSigningKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey

/** The raw public key, 32 bytes. */
export const publicKeyOf = (key: KeyObject): Buffer =>
  Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x!, 'base64url')

/** A signer of notes under a name, such as `log.example.com/EU`. */
export const noteSigner = (name: string, key: KeyObject): NoteSigner => ({
  name,
  publicKey: publicKeyOf(key),
  sign: (message) => sign(null, message, key),
})
