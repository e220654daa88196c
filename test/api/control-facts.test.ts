import { createSecretKey } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { apiKeyHmac, newApiKey } from '../../src/auth/api-key.js'
import { Database } from '../../src/db/database.js'
import { NotificationListener } from '../../src/db/notification-listener.js'
import { ControlFacts, FACTS_CHANNEL } from '../../src/directory/control-facts.js'
import { createDirectoryLoaders } from '../../src/directory/directory-loaders.js'
import { controlEntities } from '../../src/directory/entities.js'
import type { CompanyFacts, ProjectFacts, WorkspaceFacts } from '../../src/directory/facts.js'
import { systemClock } from '../../src/kernel/clock.js'
import { newUuid } from '../../src/kernel/ids.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { createApiKey } from '../../src/workspaces/create-api-key.js'
import { createCompany } from '../../src/workspaces/create-company.js'
import { createProject } from '../../src/workspaces/create-project.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { revokeApiKey } from '../../src/workspaces/revoke-api-key.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { eventually } from '../harness/eventually.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const secrets = new ControlSecrets(createSecretKey(Buffer.alloc(32, 1)))
const pepper = createSecretKey(Buffer.alloc(32, 2))
const clock = systemClock

let databases: ClonedDatabases
/** Another process, whose way to the control database is never cut. */
let elsewhere: Database
let company: CompanyFacts
let workspace: WorkspaceFacts
let project: ProjectFacts
let keyId: string
let hmac: Buffer

let proxy: TcpProxy
let control: Database
let facts: ControlFacts
let listener: NotificationListener
let factsClock: SettableClock

beforeAll(async () => {
  databases = await cloneDatabases()
  elsewhere = Database.open({ name: 'CONTROL', url: databases.control.databaseUrl, entities: controlEntities })
})
afterAll(async () => {
  await elsewhere.close(1_000)
  await databases.drop()
})
beforeEach(async () => {
  const deps = { control: elsewhere, secrets, pepper, clock }
  company = await createCompany(deps, { name: 'Acme', slug: newUuid(), replicateTo: ['EU', 'US'], retentionDays: 90 })
  workspace = await createWorkspace(deps, { companyId: company.id, name: 'Production', dataRegion: 'EU' })
  project = await createProject(deps, { workspaceId: workspace.id, name: 'Web' })
  const { apiKey, secret } = await createApiKey(deps, {
    companyId: company.id,
    workspaceId: workspace.id,
    name: 'key',
    scope: 'WORKSPACE',
    ipAllowlist: ['203.0.113.9/24', '2001:db8::/32'],
  })
  keyId = apiKey.id
  hmac = apiKeyHmac(pepper, secret)
  proxy = await TcpProxy.before(databases.control.databaseUrl)
  control = Database.open({
    name: 'CONTROL',
    url: proxy.urlFor(databases.control.databaseUrl),
    entities: controlEntities,
    poolMax: 4,
  })
  factsClock = settableClock()
  facts = new ControlFacts({ control, secrets, clock: factsClock })
  listener = new NotificationListener(proxy.urlFor(databases.control.databaseUrl), [FACTS_CHANNEL], {
    onNotification: (_, payload) => facts.notified(payload),
    onReset: () => facts.reset(),
  })
})
afterEach(async () => {
  await listener.stop()
  await control.close(0)
  await proxy.close()
})

const listen = async (): Promise<void> => {
  listener.start()
  await eventually('the listener is connected', () => listener.connected)
}
const refusal = { code: 'REGION_UNAVAILABLE', details: { regions: ['CONTROL'] } }

describe('facts', () => {
  it('say what the control database says', async () => {
    expect(await facts.company(company.id)).toEqual(company)
    expect(await facts.workspace(workspace.id)).toEqual(workspace)
    expect(workspace.retentionDays).toBe(90)
    expect(await facts.workspacesOf(company.id)).toEqual([workspace])
    expect(await facts.project(project.id)).toEqual(project)
    expect(await facts.apiKey(hmac)).toMatchObject({
      id: keyId,
      companyId: company.id,
      workspaceId: workspace.id,
      scope: 'WORKSPACE',
      readOnly: false,
      ipAllowlist: ['203.0.113.0/24', '2001:db8::/32'],
      expiresAt: null,
      revokedAt: null,
      company,
      workspace,
    })
  })

  it('are null for what does not exist', async () => {
    expect(await facts.company(newUuid())).toBeNull()
    expect(await facts.workspace(newUuid())).toBeNull()
    expect(await facts.project(newUuid())).toBeNull()
    expect(await facts.workspacesOf(newUuid())).toEqual([])
    expect(await facts.apiKey(apiKeyHmac(pepper, newApiKey('COMPANY')))).toBeNull()
    await expect(facts.tagKey(newUuid())).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('a change', () => {
  it('of a key is heard of within a second of its revocation', async () => {
    await listen()
    expect((await facts.apiKey(hmac))?.revokedAt).toBeNull()
    await revokeApiKey({ control: elsewhere, clock }, { apiKeyId: keyId })
    await eventually('the key is revoked', async () => (await facts.apiKey(hmac))?.revokedAt instanceof Date, 1_000)
  })

  it('made by hand in the database is heard of, in everything that tells of it', async () => {
    await listen()
    await facts.apiKey(hmac)
    await facts.workspacesOf(company.id)
    await elsewhere.query('update workspace set status = $2, retention_days = 7 where id = $1', [
      workspace.id,
      'ARCHIVED',
    ])
    const archived = { status: 'ARCHIVED', retentionDays: 7 }
    await eventually('it shows', async () => (await facts.workspace(workspace.id))?.status === 'ARCHIVED', 1_000)
    expect((await facts.apiKey(hmac))?.workspace).toMatchObject(archived)
    expect(await facts.workspacesOf(company.id)).toMatchObject([archived])
  })

  it('that makes something known which was not there a moment ago is heard of', async () => {
    await listen()
    const id = newUuid()
    expect(await facts.project(id)).toBeNull()
    await elsewhere.query(
      `insert into project (id, company_id, workspace_id, name, slug, created_at) values ($1, $2, $3, 'New', 'new', now())`,
      [id, company.id, workspace.id],
    )
    await eventually('it is there', async () => (await facts.project(id)) !== null, 1_000)
  })

  it('that nobody told of is seen after 30 s', async () => {
    await facts.apiKey(hmac)
    await revokeApiKey({ control: elsewhere, clock }, { apiKeyId: keyId })
    factsClock.advance(29_000)
    expect((await facts.apiKey(hmac))?.revokedAt).toBeNull()
    factsClock.advance(1_001)
    expect((await facts.apiKey(hmac))?.revokedAt).toBeInstanceOf(Date)
  })

  it('that was missed while the listener was cut off counts as soon as it is back', async () => {
    await listen()
    await facts.apiKey(hmac)
    await proxy.set('refuse')
    await eventually('the listener is lost', () => !listener.connected)
    await revokeApiKey({ control: elsewhere, clock }, { apiKeyId: keyId })
    expect((await facts.apiKey(hmac))?.revokedAt).toBeNull()
    await proxy.set('pass')
    await eventually('the listener is back', () => listener.connected)
    expect((await facts.apiKey(hmac))?.revokedAt).toBeInstanceOf(Date)
  })
})

describe('while the control database is dead', () => {
  it('a key that was seen works for ten minutes, with all that recording needs', async () => {
    await facts.apiKey(hmac)
    const tagKey = await facts.tagKey(company.id)
    await facts.project(project.id)
    await proxy.set('refuse')
    factsClock.advance(10 * 60_000)
    expect((await facts.apiKey(hmac))?.id).toBe(keyId)
    expect((await facts.tagKey(company.id)).equals(tagKey)).toBe(true)
    expect((await facts.project(project.id))?.id).toBe(project.id)
    factsClock.advance(1)
    await expect(facts.apiKey(hmac)).rejects.toMatchObject(refusal)
  })

  it("seeing a key is enough to keep its company's tag key", async () => {
    await facts.apiKey(hmac)
    await proxy.set('refuse')
    expect((await facts.tagKey(company.id)).symmetricKeySize).toBe(32)
    expect(await facts.company(company.id)).toEqual(company)
    expect(await facts.workspace(workspace.id)).toEqual(workspace)
  })

  it('what was never seen is REGION_UNAVAILABLE, not unknown', async () => {
    await proxy.set('refuse')
    await expect(facts.apiKey(hmac)).rejects.toMatchObject(refusal)
    await expect(facts.project(project.id)).rejects.toMatchObject(refusal)
  })

  it('asking costs microseconds', async () => {
    await facts.apiKey(hmac)
    await proxy.set('refuse')
    factsClock.advance(60_000)
    await facts.apiKey(hmac)
    const start = performance.now()
    for (let i = 0; i < 10_000; i++) await facts.apiKey(hmac)
    for (let i = 0; i < 1_000; i++) await facts.apiKey(apiKeyHmac(pepper, String(i))).catch(() => undefined)
    expect(performance.now() - start).toBeLessThan(1_000)
  })

  it('one that hangs costs one wait, and then nothing', async () => {
    await facts.apiKey(hmac)
    await proxy.set('hang')
    factsClock.advance(60_000)
    expect((await facts.apiKey(hmac))?.id).toBe(keyId)
    const start = performance.now()
    for (let i = 0; i < 1_000; i++) await facts.apiKey(hmac)
    expect(performance.now() - start).toBeLessThan(500)
  })

  it('and comes back, changes are seen again', async () => {
    await facts.apiKey(hmac)
    await proxy.set('refuse')
    factsClock.advance(60_000)
    await facts.apiKey(hmac)
    await revokeApiKey({ control: elsewhere, clock }, { apiKeyId: keyId })
    await proxy.set('pass')
    const revokedAt = await eventually('the revocation is seen', async () => {
      factsClock.advance(1_000)
      return (await facts.apiKey(hmac))?.revokedAt ?? undefined
    })
    expect(revokedAt).toBeInstanceOf(Date)
  })
})

describe('the loaders of a request', () => {
  const loaders = (...companies: string[]) => createDirectoryLoaders({ control, facts, companies })

  it('give what the company owns', async () => {
    const own = loaders(company.id)
    expect(await own.company.load(company.id)).toEqual(company)
    expect(await own.workspace.load(workspace.id)).toEqual(workspace)
    expect(await own.project.load(project.id)).toEqual(project)
    expect(await own.apiKey.load(keyId)).toMatchObject({
      id: keyId,
      ipAllowlist: ['203.0.113.0/24', '2001:db8::/32'],
      scope: 'WORKSPACE',
      lastUsedAt: null,
    })
    expect(await own.apiKey.load(keyId)).not.toHaveProperty('secretHmac')
    expect(await own.workspacesOfCompany.load(company.id)).toEqual([workspace])
    expect(await own.projectsOfWorkspace.load(workspace.id)).toEqual([project])
  })

  it.each(['asked for', 'remembered'])('give nothing of another company, %s', async (how) => {
    if (how === 'remembered') {
      await facts.apiKey(hmac)
      await facts.project(project.id)
    }
    const other = await createCompany({ control: elsewhere, secrets, clock }, { name: 'Other', slug: newUuid() })
    for (const strange of [loaders(other.id), loaders()]) {
      expect(await strange.company.load(company.id)).toBeNull()
      expect(await strange.workspace.load(workspace.id)).toBeNull()
      expect(await strange.project.load(project.id)).toBeNull()
      expect(await strange.apiKey.load(keyId)).toBeNull()
      expect(await strange.workspacesOfCompany.load(company.id)).toEqual([])
      expect(await strange.projectsOfWorkspace.load(workspace.id)).toEqual([])
    }
  })
})
