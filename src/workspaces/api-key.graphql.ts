import { Field, ID, ObjectType, registerEnumType } from 'type-graphql'
import type { ApiKeyRecord } from '../directory/api-key.store.js'
import { NodeType } from '../graphql/node.graphql.js'
import { DateTimeScalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'

export const ApiKeyScopeEnum = { COMPANY: 'COMPANY', WORKSPACE: 'WORKSPACE' } as const
registerEnumType(ApiKeyScopeEnum, {
  name: 'ApiKeyScope',
  description: 'How far an API key reaches.',
  valuesConfig: {
    COMPANY: { description: 'Reads everything of its company; records nothing.' },
    WORKSPACE: { description: 'Records events into one workspace and reads that workspace.' },
  },
})

@ObjectType('ApiKey', {
  implements: NodeType,
  description: 'A key with which a program calls this API. The key itself was shown once, when it was made.',
})
export class ApiKeyType implements NodeType {
  constructor(readonly record: ApiKeyRecord) {}

  @Field(() => ID, { description: 'The global id, key_….' })
  get id(): string {
    return encodeId('apiKey', this.record.id)
  }

  @Field(() => String, { description: 'The name people read.' })
  get name(): string {
    return this.record.name
  }

  @Field(() => String, { description: 'The first characters of the key, to recognise it by.' })
  get prefix(): string {
    return this.record.prefix
  }

  @Field(() => ApiKeyScopeEnum, { description: 'How far the key reaches.' })
  get scope(): 'COMPANY' | 'WORKSPACE' {
    return this.record.scope
  }

  @Field(() => Boolean, { description: 'True where the key may read and never write.' })
  get readOnly(): boolean {
    return this.record.readOnly
  }

  @Field(() => [String], { description: 'Networks (CIDR) it may be used from; empty: from anywhere.' })
  get ipAllowlist(): readonly string[] {
    return this.record.ipAllowlist
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'From when on it is refused; null: never.' })
  get expiresAt(): Date | null {
    return this.record.expiresAt
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was revoked; null while it is not.' })
  get revokedAt(): Date | null {
    return this.record.revokedAt
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'About when it was last used; null: never.' })
  get lastUsedAt(): Date | null {
    return this.record.lastUsedAt
  }

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  get createdAt(): Date {
    return this.record.createdAt
  }
}
