import { type AdminActor, systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import type { Database } from '../db/database.js'
import { findApiKey, setRevoked, type ApiKeyRecord } from '../directory/api-key.store.js'
import type { Clock } from '../kernel/clock.js'
import { notFound } from '../kernel/domain-error.js'
import { encodeId } from '../kernel/ids.js'
import { optionalReason } from './naming.js'

/**
 * Revokes a key (a UUID): every process refuses it as soon as it hears of it, which takes milliseconds, and after 30 s
 * at the latest. Revoking again changes nothing. `NOT_FOUND`, `BAD_USER_INPUT` (reason), `REGION_UNAVAILABLE`.
 */
export async function revokeApiKey(
  deps: { readonly control: Database; readonly clock: Clock },
  input: { readonly apiKeyId: string; readonly reason?: string | null | undefined },
  actor: AdminActor = systemActor,
): Promise<ApiKeyRecord> {
  const reason = optionalReason(input.reason, 'input.reason')
  return changeControl(deps, async ({ em, log }) => {
    const changed = await setRevoked(em, input.apiKeyId, deps.clock.now())
    const key = await findApiKey(em, input.apiKeyId)
    if (key === null) throw notFound('API key')
    if (changed)
      log({
        companyId: key.companyId,
        actor,
        action: 'api_key.revoked',
        category: 'api_key',
        target: { type: 'api_key', id: encodeId('apiKey', key.id) },
        payload: { prefix: key.prefix, reason },
      })
    return key
  })
}
