import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Transaction } from '../db/pooled-transaction.js'
import { ApiKey, type ApiKeyRow } from './api-key.entity.js'
import { type CompanyVisibility, visibleRows } from './company-visibility.js'

/** An API key as lists and nodes show it: nothing of the secret. */
export interface ApiKeyRecord {
  readonly id: string
  readonly companyId: string
  readonly workspaceId: string | null
  readonly name: string
  readonly prefix: string
  readonly scope: 'COMPANY' | 'WORKSPACE'
  readonly readOnly: boolean
  readonly ipAllowlist: readonly string[]
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly lastUsedAt: Date | null
  readonly createdAt: Date
}

export const findApiKey = async (em: SqlEntityManager, id: string): Promise<ApiKeyRecord | null> =>
  orNull(await em.findOne(ApiKey, { id }))

export const findApiKeyByHmac = async (em: SqlEntityManager, secretHmac: Buffer): Promise<ApiKeyRecord | null> =>
  orNull(await em.findOne(ApiKey, { secretHmac }))

/** Those of these ids that the companies own, in no particular order. */
export const findApiKeys = async (
  em: SqlEntityManager,
  ids: readonly string[],
  companies: CompanyVisibility,
): Promise<ApiKeyRecord[]> =>
  (await em.find(ApiKey, { id: { $in: [...ids] }, ...visibleRows(companies) })).map(apiKeyOf)

/** A company's newest keys, newest first, revoked ones too. */
export const listApiKeys = async (em: SqlEntityManager, companyId: string, limit: number): Promise<ApiKeyRecord[]> =>
  (await em.find(ApiKey, { companyId }, { orderBy: { createdAt: 'desc', id: 'desc' }, limit })).map(apiKeyOf)

/** How many of a company's keys are not revoked. */
export const countLiveApiKeys = (em: SqlEntityManager, companyId: string): Promise<number> =>
  em.count(ApiKey, { companyId, revokedAt: null })

export async function insertApiKey(em: SqlEntityManager, key: ApiKeyRecord, secretHmac: Buffer): Promise<void> {
  await em.insert(ApiKey, { ...key, ipAllowlist: [...key.ipAllowlist], secretHmac })
}

/** Sets the time from which the key is refused; one that is set already stays, and false is answered. */
export async function setRevoked(em: SqlEntityManager, id: string, at: Date): Promise<boolean> {
  const changed = await em.nativeUpdate(ApiKey, { id, revokedAt: null }, { revokedAt: at })
  return changed > 0
}

const orNull = (row: ApiKeyRow | null): ApiKeyRecord | null => row && apiKeyOf(row)

const apiKeyOf = (row: ApiKeyRow): ApiKeyRecord => ({
  id: row.id,
  companyId: row.companyId,
  workspaceId: row.workspaceId,
  name: row.name,
  prefix: row.prefix,
  scope: row.scope,
  readOnly: row.readOnly,
  ipAllowlist: row.ipAllowlist,
  expiresAt: row.expiresAt,
  revokedAt: row.revokedAt,
  lastUsedAt: row.lastUsedAt,
  createdAt: row.createdAt,
})

/** Locks a key until the transaction ends; true where another took its place already. */
export async function lockApiKey(tx: Transaction, id: string): Promise<boolean> {
  const rows = await tx.query<{ replaced: boolean }>(
    'select replaced_by is not null as replaced from api_key where id = $1 for update',
    [id],
  )
  return rows[0]?.replaced === true
}

/** Another key took this one's place: it ends after the grace, or sooner if it was to, or at once. */
export async function endApiKey(
  tx: Transaction,
  end: { readonly id: string; readonly replacedBy: string; readonly now: Date; readonly graceSeconds: number },
): Promise<void> {
  const until = new Date(end.now.getTime() + end.graceSeconds * 1000)
  await tx.query(
    end.graceSeconds === 0
      ? 'update api_key set replaced_by = $2, revoked_at = $3::timestamptz where id = $1'
      : 'update api_key set replaced_by = $2, expires_at = least(expires_at, $3::timestamptz) where id = $1',
    [end.id, end.replacedBy, until],
  )
}
