import type { KeyObject } from 'node:crypto'
import { type AdminActor, systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import { apiKeyHmac, apiKeyPrefix, newApiKey } from '../auth/api-key.js'
import { canonicalCidr } from '../auth/ip-address.js'
import type { Database } from '../db/database.js'
import { countLiveApiKeys, insertApiKey, type ApiKeyRecord } from '../directory/api-key.store.js'
import { findCompany } from '../directory/company.store.js'
import { findWorkspaceRow } from '../directory/workspace.store.js'
import type { Clock } from '../kernel/clock.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { validName } from './naming.js'

export const IP_ALLOWLIST_MAX = 100
/** Keys of one company that are not revoked. */
export const LIVE_API_KEYS_MAX = 1_000

export interface CreateApiKeyInput {
  /** UUID. */
  readonly companyId: string
  /** UUID; given exactly where the scope is WORKSPACE. */
  readonly workspaceId?: string | null | undefined
  readonly name: string
  readonly scope: 'COMPANY' | 'WORKSPACE'
  readonly readOnly?: boolean | null | undefined
  /** Addresses and CIDR blocks; empty or absent: from anywhere. */
  readonly ipAllowlist?: readonly string[] | null | undefined
  readonly expiresAt?: Date | null | undefined
}

/**
 * Makes an API key. The secret is in this answer and nowhere else. A caller that has to know it beforehand, so as not
 * to lose it in a crash, gives one made by newApiKey(). `BAD_USER_INPUT`, `NOT_FOUND` (company, workspace),
 * `CONFLICT` (too many), `REGION_UNAVAILABLE`.
 */
export async function createApiKey(
  deps: { readonly control: Database; readonly pepper: KeyObject; readonly clock: Clock },
  input: CreateApiKeyInput,
  secret: string = newApiKey(input.scope),
  actor: AdminActor = systemActor,
): Promise<{ readonly apiKey: ApiKeyRecord; readonly secret: string }> {
  const createdAt = deps.clock.now()
  const { companyId, scope } = input
  const workspaceId = input.workspaceId ?? null
  const expiresAt = input.expiresAt ?? null
  if (scope === 'WORKSPACE' && workspaceId === null)
    throw badInput('workspaceId', 'must be given for a key of scope WORKSPACE.')
  if (scope === 'COMPANY' && workspaceId !== null)
    throw badInput('workspaceId', 'must not be given for a key of scope COMPANY.')
  if (expiresAt !== null && expiresAt <= createdAt) throw badInput('expiresAt', 'must be in the future.')
  const apiKey: ApiKeyRecord = {
    id: newUuid(createdAt.getTime()),
    companyId,
    workspaceId,
    name: validName(input.name, 'name'),
    prefix: apiKeyPrefix(secret),
    scope,
    readOnly: input.readOnly ?? false,
    ipAllowlist: validAllowlist(input.ipAllowlist ?? []),
    expiresAt,
    revokedAt: null,
    lastUsedAt: null,
    createdAt,
  }
  await changeControl(deps, async ({ em, log }) => {
    if ((await findCompany(em, companyId)) === null) throw notFound('Company')
    const workspace = workspaceId === null ? null : await findWorkspaceRow(em, workspaceId)
    if (workspaceId !== null && workspace?.companyId !== companyId) throw notFound('Workspace')
    if ((await countLiveApiKeys(em, companyId)) >= LIVE_API_KEYS_MAX)
      throw new DomainError('CONFLICT', `A company has at most ${LIVE_API_KEYS_MAX} keys that are not revoked.`)
    await insertApiKey(em, apiKey, apiKeyHmac(deps.pepper, secret))
    log({
      companyId,
      actor,
      action: 'api_key.created',
      category: 'api_key',
      target: { type: 'api_key', id: encodeId('apiKey', apiKey.id) },
      payload: {
        prefix: apiKey.prefix,
        scope,
        readOnly: apiKey.readOnly,
        workspace: workspaceId === null ? null : encodeId('workspace', workspaceId),
        expiresAt: expiresAt?.toISOString() ?? null,
      },
    })
  })
  return { apiKey, secret }
}

function validAllowlist(blocks: readonly string[]): readonly string[] {
  if (blocks.length > IP_ALLOWLIST_MAX) throw badInput('ipAllowlist', `must hold at most ${IP_ALLOWLIST_MAX} blocks.`)
  const canonical = blocks.map((text, i) => {
    const block = canonicalCidr(text)
    if (block === null) throw badInput(`ipAllowlist[${i}]`, 'must be an IPv4 or IPv6 address or CIDR block.')
    return block
  })
  return [...new Set(canonical)]
}
