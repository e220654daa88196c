import { createSecretKey } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { newApiKey } from '../../src/auth/api-key.js'
import { ApiKeyUsage } from '../../src/auth/api-key-usage.js'
import { authenticate, type Credentials } from '../../src/auth/authenticate.js'
import {
  admitSomebody,
  requireCompanyReader,
  requireRecorder,
  requireWorkspaceReader,
} from '../../src/auth/permissions.js'
import type { Viewer } from '../../src/auth/viewer.js'
import { Database } from '../../src/db/database.js'
import { ControlFacts } from '../../src/directory/control-facts.js'
import { controlEntities } from '../../src/directory/entities.js'
import type { CompanyFacts, WorkspaceFacts } from '../../src/directory/facts.js'
import { DomainError } from '../../src/kernel/domain-error.js'
import { newUuid } from '../../src/kernel/ids.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { createApiKey, type CreateApiKeyInput } from '../../src/workspaces/create-api-key.js'
import { createCompany } from '../../src/workspaces/create-company.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { revokeApiKey } from '../../src/workspaces/revoke-api-key.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const secrets = new ControlSecrets(createSecretKey(Buffer.alloc(32, 1)))
const pepper = createSecretKey(Buffer.alloc(32, 2))
const ip = '203.0.113.9'

let databases: ClonedDatabases
let proxy: TcpProxy
let control: Database
let clock: SettableClock
let facts: ControlFacts
let usage: ApiKeyUsage
let company: CompanyFacts
let workspace: WorkspaceFacts
let other: CompanyFacts
let otherWorkspace: WorkspaceFacts

beforeAll(async () => {
  databases = await cloneDatabases()
  proxy = await TcpProxy.before(databases.control.databaseUrl)
  control = Database.open({
    name: 'CONTROL',
    url: proxy.urlFor(databases.control.databaseUrl),
    entities: controlEntities,
  })
  clock = settableClock()
  const deps = { control, secrets, clock }
  company = await createCompany(deps, { name: 'Acme' })
  workspace = await createWorkspace(deps, { companyId: company.id, name: 'Production' })
  other = await createCompany(deps, { name: 'Other' })
  otherWorkspace = await createWorkspace(deps, { companyId: other.id, name: 'Production' })
})
afterAll(async () => {
  await control.close(1_000)
  await proxy.close()
  await databases.drop()
})
beforeEach(async () => {
  await proxy.set('pass')
  facts = new ControlFacts({ control, secrets, clock })
  usage = new ApiKeyUsage({
    control,
    onError: (error) => {
      throw error
    },
  })
})

const makeKey = (input: Partial<CreateApiKeyInput> = {}) =>
  createApiKey({ control, pepper, clock }, { companyId: company.id, name: 'key', scope: 'COMPANY', ...input })
const workspaceKey = (input: Partial<CreateApiKeyInput> = {}) =>
  makeKey({ scope: 'WORKSPACE', workspaceId: workspace.id, ...input })
const enter = (credentials: Partial<Credentials>): Promise<Viewer> =>
  authenticate({ facts, pepper, usage, clock }, { clientIp: ip, ...credentials })
const bearer = (secret: string, clientIp: string | null = ip): Promise<Viewer> =>
  enter({ authorization: `Bearer ${secret}`, clientIp })
const refusal = async (work: () => unknown): Promise<DomainError> => {
  try {
    await work()
  } catch (error) {
    if (error instanceof DomainError) return error
    throw error
  }
  throw new Error('It was allowed.')
}
const codeOf = async (viewer: Viewer): Promise<string> => (await refusal(() => admitSomebody(viewer, 'viewer'))).code

describe('a key', () => {
  it('names its holder, in either header and however the scheme is written', async () => {
    const { secret, apiKey } = await workspaceKey()
    for (const credentials of [
      { authorization: `Bearer ${secret}` },
      { authorization: `bearer   ${secret} ` },
      { apiKey: secret },
      { authorization: `Bearer ${secret}`, apiKey: secret },
    ]) {
      const viewer = await enter(credentials)
      expect(viewer).toMatchObject({ kind: 'apiKey', key: { id: apiKey.id, company, workspace } })
    }
  })

  it('is stored nowhere in the control database', async () => {
    const { secret, apiKey } = await workspaceKey()
    const client = new Client({ connectionString: databases.superuserUrl(databases.control.name) })
    await client.connect()
    try {
      const { rows } = await client.query<{ text: string }>('select k::text as text from api_key k where id = $1', [
        apiKey.id,
      ])
      const random = secret.split('_')[2]!
      for (const form of [secret, random, Buffer.from(secret).toString('hex'), Buffer.from(random).toString('base64')])
        expect(rows[0]!.text).not.toContain(form)
    } finally {
      await client.end()
    }
  })

  it.each([
    ['no header', {}],
    ['an empty header', { authorization: '' }],
    ['another scheme', { authorization: 'Basic aGxrOmhsaw==' }],
    ['no key', { authorization: 'Bearer' }],
    ['a text that is no key', { authorization: 'Bearer let-me-in' }],
    ['a key that was never made', { authorization: `Bearer ${newApiKey('COMPANY')}` }],
    ['two different keys', { authorization: `Bearer ${newApiKey('COMPANY')}`, apiKey: newApiKey('COMPANY') }],
  ])('is needed: %s is nobody', async (_, credentials) => {
    const viewer = await enter(credentials)
    expect(viewer.kind).toBe('anonymous')
    expect(await codeOf(viewer)).toBe('UNAUTHENTICATED')
  })

  it('with a wrong checksum is refused without asking the database', async () => {
    await proxy.set('refuse')
    const key = newApiKey('COMPANY')
    const mistyped = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`
    expect(await codeOf(await bearer(mistyped))).toBe('UNAUTHENTICATED')
    expect(await codeOf(await bearer(key))).toBe('REGION_UNAVAILABLE')
  })

  it('that another pepper made is unknown', async () => {
    const strange = createSecretKey(Buffer.alloc(32, 9))
    const { secret } = await createApiKey(
      { control, pepper: strange, clock },
      { companyId: company.id, name: 'key', scope: 'COMPANY' },
    )
    expect(await codeOf(await bearer(secret))).toBe('UNAUTHENTICATED')
  })

  it('works until it expires, to the millisecond, though it is remembered', async () => {
    const { secret } = await makeKey({ expiresAt: new Date(clock.now().getTime() + 5_000) })
    clock.advance(4_999)
    expect((await bearer(secret)).kind).toBe('apiKey')
    clock.advance(1)
    const viewer = await bearer(secret)
    expect(await codeOf(viewer)).toBe('UNAUTHENTICATED')
    expect(viewer).toMatchObject({ reason: 'The API key has expired.' })
  })

  it('is refused once revoked, and revoking again changes nothing', async () => {
    const { secret, apiKey } = await makeKey()
    const revoked = await revokeApiKey({ control, clock }, { apiKeyId: apiKey.id })
    clock.advance(1_000)
    expect(await revokeApiKey({ control, clock }, { apiKeyId: apiKey.id })).toEqual(revoked)
    expect(await codeOf(await bearer(secret))).toBe('UNAUTHENTICATED')
    expect((await refusal(() => revokeApiKey({ control, clock }, { apiKeyId: newUuid() }))).code).toBe('NOT_FOUND')
  })

  it.each([
    [['203.0.113.0/24'], ip, true],
    [['203.0.113.0/24'], '::ffff:203.0.113.9', true],
    [['203.0.113.0/24'], '198.51.100.9', false],
    [['203.0.113.0/24'], null, false],
    [['2001:db8::/32'], '2001:db8::9', true],
    [['2001:db8::/32'], ip, false],
    [['::ffff:203.0.113.0/120'], ip, true],
    [[], '198.51.100.9', true],
    [[], null, true],
  ])('for %j is good from %s: %s', async (ipAllowlist, from, good) => {
    const { secret } = await makeKey({ ipAllowlist })
    const viewer = await bearer(secret, from)
    const outcome = viewer.kind === 'anonymous' ? viewer.refusal.code : viewer.kind
    expect(outcome).toBe(good ? 'apiKey' : 'FORBIDDEN')
  })
})

describe('making a key', () => {
  it.each<[string, Partial<CreateApiKeyInput>, string]>([
    ['a workspace key without a workspace', { scope: 'WORKSPACE' }, 'workspaceId'],
    ['an empty name', { name: '  ' }, 'name'],
    ['a name too long', { name: 'x'.repeat(201) }, 'name'],
    ['a block that is none', { ipAllowlist: ['203.0.113.0/24', 'example.com'] }, 'ipAllowlist[1]'],
    ['too many blocks', { ipAllowlist: Array.from({ length: 101 }, (_, i) => `10.0.0.${i}`) }, 'ipAllowlist'],
    ['an end in the past', { expiresAt: new Date(0) }, 'expiresAt'],
  ])('refuses %s', async (_, input, field) => {
    const error = await refusal(() => makeKey(input))
    expect(error.code).toBe('BAD_USER_INPUT')
    expect(error.details.field).toBe(field)
  })

  it('refuses a company key for a workspace', async () => {
    expect((await refusal(() => makeKey({ workspaceId: workspace.id }))).details.field).toBe('workspaceId')
  })

  it("answers NOT_FOUND for another company's workspace and for none alike", async () => {
    const [foreign, absent] = [
      await refusal(() => workspaceKey({ workspaceId: otherWorkspace.id })),
      await refusal(() => workspaceKey({ workspaceId: newUuid() })),
    ]
    expect(foreign.code).toBe('NOT_FOUND')
    expect(foreign.message).toBe(absent.message)
    expect((await refusal(() => makeKey({ companyId: newUuid() }))).code).toBe('NOT_FOUND')
  })
})

describe('what a key may do', () => {
  const viewers = async () => ({
    company: await bearer((await makeKey()).secret),
    companyReadOnly: await bearer((await makeKey({ readOnly: true })).secret),
    workspace: await bearer((await workspaceKey()).secret),
    workspaceReadOnly: await bearer((await workspaceKey({ readOnly: true })).secret),
    nobody: await enter({}),
  })

  it('recording: a workspace key that is not read-only', async () => {
    const by = await viewers()
    expect(requireRecorder(by.workspace).workspace).toEqual(workspace)
    for (const viewer of [by.company, by.companyReadOnly, by.workspaceReadOnly])
      expect((await refusal(() => requireRecorder(viewer))).code).toBe('FORBIDDEN')
    expect((await refusal(() => requireRecorder(by.nobody))).code).toBe('UNAUTHENTICATED')
  })

  it('reading a whole company: a company key, its own company', async () => {
    const by = await viewers()
    const read = (viewer: Viewer, id: string | null = null) =>
      requireCompanyReader({ facts }, viewer, 'globalEvents', id)
    for (const viewer of [by.company, by.companyReadOnly]) {
      for (const id of [null, company.id])
        expect(await read(viewer, id)).toEqual({ companyId: company.id, company, workspaceIds: null })
      const [foreign, absent] = [
        await refusal(() => read(viewer, other.id)),
        await refusal(() => read(viewer, newUuid())),
      ]
      expect(foreign.code).toBe('NOT_FOUND')
      expect(foreign.message).toBe(absent.message)
    }
    for (const id of [null, company.id, other.id]) {
      const error = await refusal(() => read(by.workspace, id))
      expect(error.code).toBe('FORBIDDEN')
      expect(error.message).toContain('workspaceEvents')
    }
    expect((await refusal(() => read(by.nobody))).code).toBe('UNAUTHENTICATED')
  })

  it('reading a workspace: its own key, or a company key that names it', async () => {
    const by = await viewers()
    const read = async (viewer: Viewer, id: string | null = null) =>
      (await requireWorkspaceReader({ facts }, viewer, 'workspaceEvents', id)).workspace
    for (const viewer of [by.workspace, by.workspaceReadOnly]) {
      expect(await read(viewer)).toEqual(workspace)
      expect(await read(viewer, workspace.id)).toEqual(workspace)
      expect((await refusal(() => read(viewer, otherWorkspace.id))).code).toBe('NOT_FOUND')
    }
    expect(await read(by.company, workspace.id)).toEqual(workspace)
    expect((await refusal(() => read(by.company))).details.field).toBe('workspaceId')
    const [foreign, absent] = [
      await refusal(() => read(by.company, otherWorkspace.id)),
      await refusal(() => read(by.company, newUuid())),
    ]
    expect(foreign.code).toBe('NOT_FOUND')
    expect(foreign.message).toBe(absent.message)
    const sibling = await createWorkspace({ control, clock }, { companyId: company.id, name: 'Sibling' })
    expect((await refusal(() => read(by.workspace, sibling.id))).code).toBe('NOT_FOUND')
    expect(await read(by.company, sibling.id)).toEqual(sibling)
    expect((await refusal(() => read(by.nobody, workspace.id))).code).toBe('UNAUTHENTICATED')
  })
})

describe('when a key was last used', () => {
  const lastUsed = async (id: string): Promise<Date | null> => {
    const rows = await control.query<{ at: Date | null }>('select last_used_at as at from api_key where id = $1', [id])
    return rows[0]!.at
  }

  it('is written apart from requests, at most once a minute', async () => {
    const { secret, apiKey } = await makeKey()
    const first = clock.now()
    await bearer(secret)
    expect(await lastUsed(apiKey.id)).toBeNull()
    await usage.flush()
    expect(await lastUsed(apiKey.id)).toEqual(first)
    clock.advance(59_000)
    await bearer(secret)
    await usage.flush()
    expect(await lastUsed(apiKey.id)).toEqual(first)
    clock.advance(1_000)
    await bearer(secret)
    await usage.flush()
    expect(await lastUsed(apiKey.id)).toEqual(clock.now())
  })

  it('is kept for the next time where it can not be written, and never fails a request', async () => {
    const { secret, apiKey } = await makeKey()
    await bearer(secret)
    const used = clock.now()
    await proxy.set('refuse')
    expect((await bearer(secret)).kind).toBe('apiKey')
    await expect(usage.flush()).rejects.toMatchObject({ name: 'DatabaseError' })
    await proxy.set('pass')
    await usage.flush()
    expect(await lastUsed(apiKey.id)).toEqual(used)
  })

  it('says nothing of keys that were refused', async () => {
    const { secret, apiKey } = await makeKey({ ipAllowlist: ['198.51.100.0/24'] })
    await bearer(secret)
    await usage.flush()
    expect(await lastUsed(apiKey.id)).toBeNull()
  })
})
