import { timingSafeEqual, type KeyObject } from 'node:crypto'
import type { Clock } from '../kernel/clock.js'
import { DomainError, type DomainErrorCode } from '../kernel/domain-error.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { apiKeyHmac, isWellFormedApiKey } from './api-key.js'
import type { ApiKeyUsage } from './api-key-usage.js'
import { isAllowedFrom } from './ip-address.js'
import { anonymous, nobody, type Viewer } from './viewer.js'

export interface AuthenticateDeps {
  readonly facts: ControlFacts
  /** Key of the HMAC that keys are stored as, `API_KEY_PEPPER`. */
  readonly pepper: KeyObject
  readonly usage: ApiKeyUsage
  readonly clock: Clock
}

export interface Credentials {
  /** Header Authorization: `Bearer hlk_…`. */
  readonly authorization?: string | undefined
  /** Header X-Api-Key, for clients that can't set the other. */
  readonly apiKey?: string | undefined
  /** See clientIp(). */
  readonly clientIp: string | null
}

const bearer = /^Bearer +(\S+) *$/i

/**
 * Who presents these credentials. It doesn't throw for bad ones: the viewer is then nobody, with the refusal
 * (UNAUTHENTICATED; FORBIDDEN for a good key from a wrong address; WORKSPACE_ARCHIVED; REGION_UNAVAILABLE where the key is not known and
 * the control database doesn't answer).
 */
export async function authenticate(deps: AuthenticateDeps, credentials: Credentials): Promise<Viewer> {
  const { authorization, apiKey } = credentials
  if (authorization === undefined && apiKey === undefined) return nobody
  const presented = authorization === undefined ? apiKey : bearer.exec(authorization)?.[1]
  if (presented === undefined)
    return refused('UNAUTHENTICATED', 'The Authorization header is not of the form Bearer hlk_….')
  if (apiKey !== undefined && apiKey !== presented)
    return refused('UNAUTHENTICATED', 'Authorization and X-Api-Key name different keys.')
  if (!isWellFormedApiKey(presented))
    return refused('UNAUTHENTICATED', 'This is not an API key; check that it was copied whole.')
  const hmac = apiKeyHmac(deps.pepper, presented)
  try {
    const key = await deps.facts.apiKey(hmac)
    if (key === null || !timingSafeEqual(key.secretHmac, hmac))
      return refused('UNAUTHENTICATED', 'The API key is unknown.')
    const now = deps.clock.now()
    if (key.revokedAt !== null) return refused('UNAUTHENTICATED', 'The API key was revoked.')
    if (key.expiresAt !== null && key.expiresAt <= now) return refused('UNAUTHENTICATED', 'The API key has expired.')
    if (!isAllowedFrom(key.ipAllowlist, credentials.clientIp))
      return refused('FORBIDDEN', 'The API key may not be used from this address.')
    if (key.workspace?.status === 'ARCHIVED')
      return refused(
        'WORKSPACE_ARCHIVED',
        'The workspace of this key is archived: its events are read with a company key, or at the dashboard.',
      )
    deps.usage.note(key.id, now)
    return { kind: 'apiKey', key }
  } catch (error) {
    if (error instanceof DomainError) return anonymous(error)
    throw error
  }
}

const refused = (code: DomainErrorCode, message: string): Viewer => anonymous(new DomainError(code, message))
