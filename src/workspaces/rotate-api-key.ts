import type { KeyObject } from 'node:crypto'
import { changeControl } from '../admin-log/change-control.js'
import { apiKeyHmac, apiKeyPrefix, newApiKey } from '../auth/api-key.js'
import { admitSession, admitToCompany } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import { endApiKey, findApiKey, insertApiKey, lockApiKey, type ApiKeyRecord } from '../directory/api-key.store.js'
import { withControl } from '../directory/with-control.js'
import type { Clock } from '../kernel/clock.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'

/** The old key may go on for this long: a month to roll out the new one. */
export const ROTATION_GRACE_SECONDS_MAX = 30 * 24 * 60 * 60

/**
 * Puts a new key in the place of one: same name, scope, workspace, expiry, allowlist and read-only. The old one is good
 * for `graceSeconds` more, or ends at once. The secret is in this answer and nowhere else. `UNAUTHENTICATED`,
 * `FORBIDDEN`, `NOT_FOUND`, `BAD_USER_INPUT`, `CONFLICT` (revoked, expired, or rotated before), `REGION_UNAVAILABLE`.
 */
export async function rotateApiKey(
  deps: { readonly control: Database; readonly pepper: KeyObject; readonly clock: Clock },
  viewer: Viewer,
  input: { readonly apiKeyId: string; readonly graceSeconds: number },
): Promise<{ readonly apiKey: ApiKeyRecord; readonly secret: string }> {
  admitSession(viewer, 'rotateApiKey')
  const { apiKeyId, graceSeconds } = input
  if (graceSeconds < 0 || graceSeconds > ROTATION_GRACE_SECONDS_MAX)
    throw badInput('input.graceSeconds', `must be from 0 to ${ROTATION_GRACE_SECONDS_MAX}.`)
  const known = await withControl(deps.control, (em) => findApiKey(em, apiKeyId))
  if (known === null) throw notFound('API key')
  const { user } = admitToCompany(viewer, 'rotateApiKey', known.companyId, 'API key')
  return changeControl(deps, async ({ em, tx, log }) => {
    const now = deps.clock.now()
    const isReplaced = await lockApiKey(tx, apiKeyId)
    const old = await findApiKey(em, apiKeyId)
    if (old === null) throw notFound('API key')
    if (isReplaced) throw new DomainError('CONFLICT', 'The key was rotated before: rotate the one in its place.')
    if (old.revokedAt !== null || (old.expiresAt !== null && old.expiresAt <= now))
      throw new DomainError('CONFLICT', 'The key is revoked or has expired: create another.')
    const secret = newApiKey(old.scope)
    const apiKey: ApiKeyRecord = {
      ...old,
      id: newUuid(now.getTime()),
      prefix: apiKeyPrefix(secret),
      lastUsedAt: null,
      createdAt: now,
    }
    await insertApiKey(em, apiKey, apiKeyHmac(deps.pepper, secret))
    await endApiKey(tx, { id: apiKeyId, replacedBy: apiKey.id, now, graceSeconds })
    log({
      companyId: old.companyId,
      actor: { kind: 'user', userId: user.id },
      action: 'api_key.rotated',
      category: 'api_key',
      target: { type: 'api_key', id: encodeId('apiKey', apiKeyId) },
      payload: { prefix: old.prefix, replacedBy: encodeId('apiKey', apiKey.id), graceSeconds },
    })
    return { apiKey, secret }
  })
}
