import { createHmac, type KeyObject } from 'node:crypto'
import { DatabaseError } from '../db/database-error.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { Database } from '../db/database.js'
import { derivedKey, openSecret, sealSecret } from '../sealing/secret-box.js'
import type { GdprDeps } from './gdpr-deps.js'
import type { SealedGdprRequest } from './gdpr-request.store.js'
import type { Identifiers } from './subject.js'

const TIMEOUT_MS = 5_000
const PSEUDONYM_BYTES = 8
const DIGEST_HEX_CHARACTERS = 32

/** What a request knows of its subject, and destroys when it is done. */
export interface SealedSubject extends Identifiers {
  /** What the requester wrote; it may name anybody. */
  readonly reason: string | null
}

const sealName = (requestId: string): string => `identifiers of GDPR request ${requestId}`

/** Seals a request's subject under a key of the request's own. */
export const sealSubject = (key: KeyObject, requestId: string, subject: SealedSubject): Buffer =>
  sealSecret(key, sealName(requestId), Buffer.from(JSON.stringify(subject)))

/**
 * The subject of a request, or null where its key has been destroyed. REGION_UNAVAILABLE where the region that keeps the
 * key doesn't answer.
 */
export async function openSubject(
  deps: Pick<GdprDeps, 'registry' | 'subjectKeys'>,
  request: SealedGdprRequest,
): Promise<SealedSubject | null> {
  const { id, companyId, keyRegion, keyId, identifiersSealed } = request
  if (identifiersSealed === null) return null
  const keys = await inRegion(deps, keyRegion, (database) =>
    database.transaction({ companies: [companyId], readOnly: true, timeoutMs: TIMEOUT_MS }, (tx) =>
      deps.subjectKeys.load(tx, keyRegion, [keyId]),
    ),
  )
  const key = keys.get(keyId)
  if (key === undefined) return null
  // Authenticated: only sealSubject() can have written it.
  return JSON.parse(openSecret(key, sealName(id), identifiersSealed).toString('utf8')) as SealedSubject
}

/** Work on a region's database; REGION_UNAVAILABLE where it doesn't answer. */
export async function inRegion<T>(
  { registry }: Pick<GdprDeps, 'registry'>,
  region: Region,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  try {
    return await registry.use(region, ({ database }) => work(database))
  } catch (error) {
    if (!(error instanceof DatabaseError) || !error.unavailable) throw error
    throw new DomainError('REGION_UNAVAILABLE', `Region ${region} does not answer; try again.`, {
      details: { regions: [region] },
      cause: error,
    })
  }
}

const subjectText = ({ actorId, actorEmail }: Identifiers): string => JSON.stringify([actorId, actorEmail])
const macUnder = (secret: KeyObject, purpose: string, subject: Identifiers): Buffer =>
  createHmac('sha256', derivedKey(secret, purpose)).update(subjectText(subject)).digest()

/** What stays of the subject when the request is over: the same for nobody else, in no other request. */
export const subjectDigest = (secret: KeyObject, subject: Identifiers): string =>
  macUnder(secret, 'hyrelog gdpr digest', subject).toString('hex').slice(0, DIGEST_HEX_CHARACTERS)

/** What an anonymised actor is known by, 8 bytes. */
export const subjectPseudonym = (secret: KeyObject, subject: Identifiers): Buffer =>
  macUnder(secret, 'hyrelog gdpr pseudonym', subject).subarray(0, PSEUDONYM_BYTES)
