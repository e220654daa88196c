import { Arg, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { decodeId } from '../kernel/ids.js'
import {
  CreateApiKeyInputType,
  CreateApiKeyPayloadType,
  RevokeApiKeyInputType,
  RevokeApiKeyPayloadType,
  RotateApiKeyInputType,
  RotateApiKeyPayloadType,
} from './administration.graphql.js'
import { ApiKeyType } from './api-key.graphql.js'
import { createApiKeyAs, type DashboardDeps, listCompanyApiKeys, revokeApiKeyAs } from './dashboard-changes.js'
import { rotateApiKey } from './rotate-api-key.js'

@Resolver()
export class ApiKeyAdministrationResolver {
  constructor(private readonly deps: DashboardDeps) {}

  @Query(() => [ApiKeyType], {
    description:
      'The API keys of a company, newest first, revoked ones too; the newest 1000. OWNER or ADMIN, and some staff; an API key is refused.',
  })
  async apiKeys(
    @Arg('companyId', () => ID, { nullable: true, description: 'The company; may be left out by who is of one only.' })
    companyId: string | null = null,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<ApiKeyType[]> {
    const uuid = companyId === null ? null : decodeId('company', companyId, 'companyId')
    return (await listCompanyApiKeys(this.deps, viewer, uuid)).map((key) => new ApiKeyType(key))
  }

  @Mutation(() => CreateApiKeyPayloadType, {
    description:
      'Makes an API key. The secret is in this answer and nowhere else. OWNER or ADMIN; an API key is refused.',
  })
  async createApiKey(
    @Arg('input', () => CreateApiKeyInputType, { description: 'The key.' }) input: CreateApiKeyInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<CreateApiKeyPayloadType> {
    const companyId = decodeId('company', input.companyId, 'input.companyId')
    const workspaceId = input.workspaceId == null ? null : decodeId('workspace', input.workspaceId, 'input.workspaceId')
    const { apiKey, secret } = await createApiKeyAs(this.deps, viewer, { ...input, companyId, workspaceId })
    return { apiKey: new ApiKeyType(apiKey), secret }
  }

  @Mutation(() => RotateApiKeyPayloadType, {
    description:
      'Puts a new key with the same name, scope, expiry, networks and rights in the place of one. The secret is in this answer and nowhere else. OWNER or ADMIN.',
  })
  async rotateApiKey(
    @Arg('input', () => RotateApiKeyInputType, { description: 'The key.' }) input: RotateApiKeyInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RotateApiKeyPayloadType> {
    const apiKeyId = decodeId('apiKey', input.apiKeyId, 'input.apiKeyId')
    const { apiKey, secret } = await rotateApiKey(this.deps, viewer, {
      apiKeyId,
      graceSeconds: input.graceSeconds ?? 0,
    })
    return { apiKey: new ApiKeyType(apiKey), secret }
  }

  @Mutation(() => RevokeApiKeyPayloadType, {
    description: 'Ends a key: it is refused everywhere within a second. OWNER or ADMIN, and some staff.',
  })
  async revokeApiKey(
    @Arg('input', () => RevokeApiKeyInputType, { description: 'The key.' }) input: RevokeApiKeyInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RevokeApiKeyPayloadType> {
    const apiKeyId = decodeId('apiKey', input.apiKeyId, 'input.apiKeyId')
    const apiKey = await revokeApiKeyAs(this.deps, viewer, { apiKeyId, reason: input.reason ?? null })
    return { apiKey: new ApiKeyType(apiKey) }
  }
}
