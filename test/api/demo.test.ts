import { createSecretKey } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiKeyHmac } from '../../src/auth/api-key.js'
import { verifyPassword } from '../../src/auth/password.js'
import type { DemoWorld } from '../../src/demo/demo-files.js'
import { demoTable } from '../../src/demo/demo-table.js'
import { demoExists, seedDemo } from '../../src/demo/seed-demo.js'
import { decodeId } from '../../src/kernel/ids.js'
import { regions, type Region } from '../../src/kernel/region.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { makeVaultFolder, Recorder } from '../harness/recorder.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const secrets = new ControlSecrets(createSecretKey(Buffer.alloc(32, 1)))
const pepper = createSecretKey(Buffer.alloc(32, 2))
const dayMs = 86_400_000

let databases: ClonedDatabases
let proxy: TcpProxy
let vault: Awaited<ReturnType<typeof makeVaultFolder>>
let recorder: Recorder
let dataDir: string
/** The first attempt, cut short. */
let cutShort: unknown
let plannedBefore: string
let existedTooEarly: boolean
let world: DemoWorld

const seed = (endpoint = 'http://127.0.0.1:4000/graphql'): Promise<DemoWorld> =>
  seedDemo({
    control: recorder.control,
    secrets,
    pepper,
    clock: recorder.clock,
    facts: recorder.facts,
    registry: recorder.registry,
    subjectKeys: recorder.subjectKeys,
    ingest: recorder,
    dataDir,
    endpoint,
    internalToken: 'token',
  })

interface StoredEvent {
  readonly workspace_id: string
  readonly sequence: string
  readonly occurred_at: Date
  readonly received_at: Date
  readonly action: string
  readonly category: string
  readonly has_actor: boolean
}

async function storedEvents(region: Region): Promise<StoredEvent[]> {
  const client = new Client({ connectionString: databases.superuserUrl(databases.regions[region].name) })
  await client.connect()
  try {
    const { rows } = await client.query<StoredEvent>(
      `select workspace_id, sequence, occurred_at, received_at, action, category, identity_blob is not null as has_actor
       from event order by workspace_id, sequence`,
    )
    return rows
  } finally {
    await client.end()
  }
}

beforeAll(async () => {
  databases = await cloneDatabases()
  proxy = await TcpProxy.before(databases.regions.US.databaseUrl)
  vault = await makeVaultFolder()
  dataDir = await mkdtemp(join(tmpdir(), 'demo-'))
  recorder = await Recorder.on(databases, vault.path, {
    regionUrls: {
      ...Object.fromEntries(regions.map((region) => [region, databases.regions[region].databaseUrl])),
      US: proxy.urlFor(databases.regions.US.databaseUrl),
    },
  })
  await proxy.set('refuse')
  cutShort = await seed().catch((error: unknown) => error)
  plannedBefore = await readFile(join(dataDir, 'demo-plan.json'), 'utf8')
  existedTooEarly = await demoExists(dataDir)
  await proxy.set('pass')
  world = await seed()
})
afterAll(async () => {
  await recorder.close()
  await proxy.close()
  await vault.remove()
  await rm(dataDir, { recursive: true })
  await databases.drop()
})

describe('the demo world', () => {
  it('is the one that is documented', () => {
    const outline = world.companies.map((company) => ({
      name: company.name,
      dataRegion: company.dataRegion,
      replicateTo: company.replicateTo,
      roles: company.users.map(({ role }) => role),
      regions: company.workspaces.map(({ dataRegion }) => dataRegion),
    }))
    const roles = ['OWNER', 'ADMIN', 'ADMIN', 'MEMBER', 'VIEWER']
    expect(outline).toEqual([
      { name: 'Acme Corp', dataRegion: 'AU', replicateTo: [], roles, regions: ['AU', 'AU'] },
      { name: 'GlobalTech EU', dataRegion: 'AU', replicateTo: [], roles, regions: ['AU'] },
      { name: 'Initech Global', dataRegion: 'EU', replicateTo: ['US'], roles, regions: ['EU', 'US', 'AU', 'APAC'] },
    ])
    expect(world.staff.map(({ staffRole }) => staffRole)).toEqual([
      'SUPER_ADMIN',
      'PRIVACY_ADMIN',
      'SUPPORT_ADMIN',
      'BILLING_ADMIN',
    ])
    for (const { workspaces } of world.companies)
      for (const { projects } of workspaces) expect(projects.length).toBeGreaterThan(0)
  })

  it('is written to demo.json, in the documented form, for its owner alone', async () => {
    const path = join(dataDir, 'demo.json')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(dataDir)).toEqual(['demo.json'])
    const written = JSON.parse(await readFile(path, 'utf8')) as DemoWorld
    expect(written).toEqual(world)
    expect(Object.keys(written)).toEqual(['endpoint', 'internalToken', 'staff', 'companies'])
    const company = written.companies[0]!
    expect(Object.keys(company)).toEqual([
      'id',
      'name',
      'slug',
      'dataRegion',
      'replicateTo',
      'apiKey',
      'readOnlyApiKey',
      'users',
      'workspaces',
    ])
    expect(Object.keys(company.workspaces[0]!)).toEqual(['id', 'slug', 'dataRegion', 'apiKey', 'projects'])
    expect(Object.keys(company.users[0]!)).toEqual(['email', 'password', 'role'])
    expect(Object.keys(written.staff[0]!)).toEqual(['email', 'password', 'staffRole'])
  })

  it('has the keys it says it has', async () => {
    const factsOf = (secret: string) => recorder.facts.apiKey(apiKeyHmac(pepper, secret))
    for (const { id, apiKey, readOnlyApiKey, workspaces } of world.companies) {
      const companyId = decodeId('company', id, 'id')
      expect(await factsOf(apiKey)).toMatchObject({ companyId, scope: 'COMPANY', readOnly: false })
      expect(await factsOf(readOnlyApiKey)).toMatchObject({ companyId, scope: 'COMPANY', readOnly: true })
      for (const workspace of workspaces)
        expect(await factsOf(workspace.apiKey)).toMatchObject({
          companyId,
          workspaceId: decodeId('workspace', workspace.id, 'id'),
          scope: 'WORKSPACE',
          readOnly: false,
        })
    }
  })

  it('lets everybody in with the password that is printed', async () => {
    const rows = await recorder.control.query<{ email: string; password_hash: string }>(
      'select email, password_hash from app_user',
    )
    const users = [...world.staff, ...world.companies.flatMap((company) => company.users)]
    expect(rows).toHaveLength(users.length)
    for (const { email, password } of users) {
      const hash = rows.find((row) => row.email === email)!.password_hash
      expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
      expect(await verifyPassword(hash, password)).toBe(true)
    }
  })

  it('keeps Acme 365, GlobalTech 180 and Initech 3650 days', async () => {
    const days = await recorder.control.query<{ retention_days: number }>(
      'select retention_days from company order by slug',
    )
    expect(days.map((row) => row.retention_days)).toEqual([365, 180, 3_650])
  })

  it('has some hundred events in each workspace, over fifteen months, received as they occurred', async () => {
    const events = (await Promise.all(regions.map(storedEvents))).flat()
    const byWorkspace = Map.groupBy(events, (event) => event.workspace_id)
    expect(byWorkspace.size).toBe(7)
    for (const own of byWorkspace.values()) {
      expect(own.length).toBeGreaterThanOrEqual(200)
      expect(own.map((event) => Number(event.sequence))).toEqual(own.map((_, i) => i + 1))
      const times = own.map((event) => event.received_at.getTime())
      expect(own.map((event) => event.occurred_at.getTime())).toEqual(times)
      expect(times).toEqual(times.toSorted((a, b) => a - b))
      const ages = own.map((event) => (recorder.clock.now().getTime() - event.received_at.getTime()) / dayMs)
      expect(Math.max(...ages)).toBeGreaterThan(400)
      expect(Math.max(...ages)).toBeLessThan(460)
      expect(Math.min(...ages)).toBeGreaterThan(0)
      expect(Math.min(...ages)).toBeLessThan(14)
      expect(new Set(own.map((event) => event.category))).toEqual(new Set(['auth', 'billing', 'documents', 'admin']))
      expect(new Set(own.map((event) => event.action)).size).toBeGreaterThan(10)
      expect(own.every((event) => event.has_actor)).toBe(true)
    }
  })

  it('that was cut short went on with the same keys, and nothing twice', async () => {
    expect(existedTooEarly).toBe(false)
    expect(cutShort).toMatchObject({ name: 'DatabaseError', database: 'US', kind: 'unreachable' })
    expect(world.companies.map(({ apiKey }) => apiKey)).toEqual(
      (JSON.parse(plannedBefore) as DemoWorld).companies.map(({ apiKey }) => apiKey),
    )
    const [counts] = await recorder.control.query<Record<'companies' | 'keys' | 'members', number>>(
      `select (select count(*)::integer from company) as companies, (select count(*)::integer from api_key) as keys,
         (select count(*)::integer from company_member) as members`,
    )
    expect(counts).toEqual({ companies: 3, keys: 13, members: 15 })
  })

  it('is not made again, and learns where the API is now', async () => {
    expect(await demoExists(dataDir)).toBe(true)
    expect(await seed()).toEqual(world)
    const endpoint = 'http://127.0.0.1:4123/graphql'
    expect(await seed(endpoint)).toEqual({ ...world, endpoint })
    expect(JSON.parse(await readFile(join(dataDir, 'demo.json'), 'utf8'))).toEqual({ ...world, endpoint })
    const events = (await Promise.all(regions.map(storedEvents))).flat()
    expect(events).toHaveLength(2_100)
  })

  it('has two requests of data subjects at Acme, one for the company to decide and one for staff', async () => {
    const requests = await recorder.control.query<{ status: string; slug: string; approvals: number }>(
      `select r.status, c.slug, (select count(*)::integer from gdpr_approval a where a.request_id = r.id) as approvals
       from gdpr_request r join company c on c.id = r.company_id order by r.created_at, r.status desc`,
    )
    expect(requests).toEqual([
      { slug: 'acme-corp', status: 'CUSTOMER_PENDING', approvals: 0 },
      { slug: 'acme-corp', status: 'CUSTOMER_APPROVED', approvals: 1 },
    ])
  })

  it('prints every key and password', () => {
    const text = demoTable(world)
    for (const { apiKey, readOnlyApiKey, workspaces, users } of world.companies)
      for (const secret of [
        apiKey,
        readOnlyApiKey,
        ...workspaces.map((workspace) => workspace.apiKey),
        ...users.map((user) => user.password),
      ])
        expect(text).toContain(secret)
  })
})
