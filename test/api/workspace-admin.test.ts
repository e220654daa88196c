import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { asPerson, outcome, type Person } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'

let world: World
let owner: Person
beforeAll(async () => {
  world = await createWorld()
})
beforeEach(async () => {
  owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
})
afterAll(() => world.close())

const record = 'mutation { ingestEvent(input: { action: "a", category: "c" }) { receipt { status } } }'
const run = async (mutation: string, type: string, selection: string, input: Record<string, unknown>) =>
  owner.gql(`mutation ($input: ${type}!) { ${mutation}(input: $input) { ${selection} } }`, { input })
const makeKey = async (input: Record<string, unknown>) =>
  (
    await run('createApiKey', 'CreateApiKeyInput', 'secret apiKey { id }', {
      companyId: world.acme.gid,
      name: 'k',
      ...input,
    })
  ).data.createApiKey as {
    secret: string
    apiKey: { id: string }
  }

describe('workspaces', () => {
  it('are made with region, slug and retention, and changed but for the region', async () => {
    const made = await run(
      'createWorkspace',
      'CreateWorkspaceInput',
      'workspace { id slug dataRegion retentionDays status }',
      {
        companyId: world.acme.gid,
        name: 'Zürich Office',
        dataRegion: 'EU',
        retentionDays: 30,
      },
    )
    expect(made.data.createWorkspace.workspace).toMatchObject({
      slug: 'zurich-office',
      dataRegion: 'EU',
      retentionDays: 30,
      status: 'ACTIVE',
    })
    const workspaceId = made.data.createWorkspace.workspace.id as string
    const update = (input: Record<string, unknown>) =>
      run('updateWorkspace', 'UpdateWorkspaceInput', 'workspace { name slug retentionDays dataRegion }', {
        workspaceId,
        ...input,
      })
    const changed = await update({ name: 'Zurich', slug: 'zrh', retentionDays: null })
    expect(changed.data.updateWorkspace.workspace).toEqual({
      name: 'Zurich',
      slug: 'zrh',
      retentionDays: 365,
      dataRegion: 'EU',
    })
    expect(outcome(await update({ slug: world.acme.in.AU.slug }))).toBe('CONFLICT')
    for (const wrong of [{ slug: 'No!' }, { retentionDays: 0 }, { name: ' ' }])
      expect(outcome(await update(wrong))).toBe('BAD_USER_INPUT')
  })

  it('archived, take no events and show theirs; opened again, they do', async () => {
    const workspace = world.acme.in.APAC
    const [id] = await world.record(workspace, [{ action: 'before', category: 'c' }])
    const set = (mutation: string) =>
      run(mutation, 'ArchiveWorkspaceInput', 'workspace { status }', { workspaceId: workspace.gid })
    expect((await set('archiveWorkspace')).data.archiveWorkspace.workspace.status).toBe('ARCHIVED')
    await eventually(
      'its key is refused',
      async () => outcome(await world.gql(workspace.key, record)) === 'WORKSPACE_ARCHIVED',
      1_000,
    )
    const read = '{ workspaceEvents { nodes { id } } }'
    expect(outcome(await world.gql(workspace.key, read))).toBe('WORKSPACE_ARCHIVED')
    expect(outcome(await world.gql(world.acme.in.AU.key, read))).toBe('OK')
    const shown = `{ event(id: "${id!}") { action } }`
    for (const answer of [await owner.gql(shown), await world.gql(world.acme.key, shown)])
      expect(answer.data.event.action).toBe('before')
    const project = await run('createProject', 'CreateProjectInput', 'project { id }', {
      workspaceId: workspace.gid,
      name: 'x',
    })
    expect(outcome(project)).toBe('WORKSPACE_ARCHIVED')
    expect((await set('unarchiveWorkspace')).data.unarchiveWorkspace.workspace.status).toBe('ACTIVE')
    await eventually(
      'its key counts again',
      async () => outcome(await world.gql(workspace.key, record)) === 'OK',
      1_000,
    )
  })

  it('lose no event by any mutation there is', async () => {
    const schema = await owner.gql('{ schema: __schema { mutationType { fields { name } } } }')
    const names = schema.data.schema.mutationType.fields.map(({ name }: { name: string }) => name) as string[]
    expect(names.filter((name) => /delete|purge|truncate|drop/i.test(name))).toEqual([])
  })
})

describe('API keys', () => {
  it('are made by people, shown once, and listed without their secret', async () => {
    const { secret, apiKey } = await makeKey({
      scope: 'WORKSPACE',
      workspaceId: world.acme.in.AU.gid,
      ipAllowlist: ['127.0.0.1'],
    })
    expect(outcome(await world.gql(secret, record))).toBe('OK')
    const list = await owner.gql('{ apiKeys { id name prefix readOnly ipAllowlist workspace { id } } }')
    const listed = list.data.apiKeys.find(({ id }: { id: string }) => id === apiKey.id)
    expect(listed).toMatchObject({ ipAllowlist: ['127.0.0.1/32'], workspace: { id: world.acme.in.AU.gid } })
    expect(JSON.stringify(list.data)).not.toContain(secret)
  })

  it('make no keys (FORBIDDEN)', async () => {
    for (const key of [world.acme.key, world.acme.in.AU.key]) {
      const query = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }'
      const input = { companyId: world.acme.gid, name: 'k', scope: 'COMPANY' }
      expect(outcome(await world.gql(key, query, { input }))).toBe('FORBIDDEN')
    }
  })

  it('are for workspaces of their own company', async () => {
    const input = { companyId: world.acme.gid, workspaceId: world.globex.in.AU.gid, name: 'k', scope: 'WORKSPACE' }
    expect(outcome(await run('createApiKey', 'CreateApiKeyInput', 'secret', input))).toBe('NOT_FOUND')
  })

  it('are refused everywhere within a second of being revoked', async () => {
    const { secret, apiKey } = await makeKey({ scope: 'COMPANY' })
    expect(outcome(await world.gql(secret, '{ company { id } }'))).toBe('OK')
    const revoked = await run('revokeApiKey', 'RevokeApiKeyInput', 'apiKey { revokedAt }', {
      apiKeyId: apiKey.id,
      reason: 'leaked',
    })
    expect(revoked.data.revokeApiKey.apiKey.revokedAt).not.toBeNull()
    await eventually(
      'it is refused',
      async () => outcome(await world.gql(secret, '{ company { id } }')) === 'UNAUTHENTICATED',
      1_000,
    )
  })

  it('rotated keep scope, workspace, expiry, allowlist and read-only; the old one lives through the grace', async () => {
    const expiresAt = '2099-01-01T00:00:00.000Z'
    const given = {
      scope: 'WORKSPACE',
      workspaceId: world.acme.in.AU.gid,
      readOnly: true,
      ipAllowlist: ['127.0.0.0/8'],
      expiresAt,
    }
    const old = await makeKey(given)
    const rotate = (graceSeconds: number, apiKeyId = old.apiKey.id) =>
      run(
        'rotateApiKey',
        'RotateApiKeyInput',
        'secret apiKey { id name scope readOnly ipAllowlist expiresAt workspace { id } }',
        { apiKeyId, graceSeconds },
      )
    expect(outcome(await rotate(-1))).toBe('BAD_USER_INPUT')
    const both = await Promise.all([rotate(3600), rotate(3600)])
    expect(both.map(outcome).toSorted()).toEqual(['CONFLICT', 'OK'])
    const { secret, apiKey } = both.find((answer) => outcome(answer) === 'OK')!.data.rotateApiKey
    expect(apiKey).toMatchObject({
      name: 'k',
      scope: 'WORKSPACE',
      readOnly: true,
      ipAllowlist: ['127.0.0.0/8'],
      expiresAt,
      workspace: { id: world.acme.in.AU.gid },
    })
    expect(apiKey.id).not.toBe(old.apiKey.id)
    const read = '{ workspaceEvents { nodes { id } } }'
    for (const key of [secret, old.secret]) {
      expect(outcome(await world.gql(key, read))).toBe('OK')
      expect(outcome(await world.gql(key, record))).toBe('FORBIDDEN')
    }
    const again = await rotate(0, apiKey.id as string)
    expect(outcome(again)).toBe('OK')
    await eventually(
      'without grace it ends at once',
      async () => outcome(await world.gql(secret, read)) === 'UNAUTHENTICATED',
      1_000,
    )
    expect(outcome(await world.gql(again.data.rotateApiKey.secret, read))).toBe('OK')
  })
})
