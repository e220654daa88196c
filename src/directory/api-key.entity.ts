import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

export type ApiKeyScope = 'COMPANY' | 'WORKSPACE'

export const ApiKey = defineEntity({
  name: 'ApiKey',
  tableName: 'api_key',
  properties: {
    id: p.uuid().primary(),
    companyId: p.uuid(),
    workspaceId: p.uuid().strictNullable(),
    name: p.text(),
    prefix: p.text(),
    secretHmac: p.blob().hidden().lazy(),
    scope: p.text().$type<ApiKeyScope>(),
    readOnly: p.boolean(),
    ipAllowlist: p.array().$type<string[]>().columnType('cidr[]'),
    expiresAt: p.datetime(3).strictNullable(),
    revokedAt: p.datetime(3).strictNullable(),
    lastUsedAt: p.datetime(3).strictNullable(),
    createdAt: p.datetime(3),
  },
})
export type ApiKeyRow = InferEntity<typeof ApiKey>
