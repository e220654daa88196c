import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { Command, CommanderError } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addDirectoryCommands } from '../../src/cli/admin-commands.js'
import { createWorld } from '../harness/app.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'

let databases: ClonedDatabases
let environment: Record<string, string>

beforeAll(async () => {
  databases = await cloneDatabases()
  environment = {
    CONTROL_DATABASE_URL: databases.control.databaseUrl,
    CONTROL_OWNER_URL: databases.control.ownerUrl,
    CONTROL_MASTER_KEY: Buffer.alloc(32, 1).toString('base64'),
    API_KEY_PEPPER: Buffer.alloc(32, 2).toString('base64'),
    KEY_VAULT_DIR: '/nonexistent',
    LOG_NAME: 'test.local',
  }
})
afterAll(() => databases.drop())

/** `hyrelog admin …` in this process: what it prints, and its exit code. */
async function admin(args: readonly string[], env: Record<string, string> = environment) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const exit: { code?: number } = {}
  const program = new Command('hyrelog').exitOverride().configureOutput({ writeErr: (text) => stderr.write(text) })
  const cli = { stdin: process.stdin, stdout, stderr, env } as unknown as Parameters<typeof addDirectoryCommands>[1]
  addDirectoryCommands(program, cli, (code) => {
    exit.code = code
  })
  try {
    await program.parseAsync(['admin', ...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    exit.code = 2
  }
  const text = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString('utf8') ?? ''
  return { code: exit.code, stdout: text(stdout), stderr: text(stderr) }
}
async function answer<T>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await admin([...args, '--json'])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return JSON.parse(stdout) as T
}

interface Row {
  readonly id: string
  readonly slug: string
  readonly secret: string
}

describe('hyrelog admin', () => {
  it('makes a company, workspaces, a project and keys, by slug or id, and lists them', async () => {
    const company = await answer<Row>(
      'company',
      'create',
      '--name',
      'Acme Corp',
      '--region',
      'eu',
      '--replicate-to',
      'US,AU',
      '--retention-days',
      '90',
    )
    expect(company).toMatchObject({
      id: expect.stringMatching(/^co_/) as string,
      slug: 'acme-corp',
      dataRegion: 'EU',
      replicateTo: ['US', 'AU'],
      retentionDays: 90,
    })
    const production = await answer<Row>('workspace', 'create', '--company', 'acme-corp', '--name', 'Production')
    expect(production).toMatchObject({ slug: 'production', dataRegion: 'EU', retentionDays: 90, status: 'ACTIVE' })
    const staging = await answer<Row>(
      'workspace',
      'create',
      '--company',
      company.id,
      '--name',
      'Staging',
      '--region',
      'APAC',
      '--retention-days',
      '7',
    )
    expect(await answer('workspace', 'list', '--company', company.id)).toEqual([production, staging])
    expect(await answer('project', 'create', '--workspace', 'acme-corp/production', '--name', 'Web app')).toMatchObject(
      {
        slug: 'web-app',
      },
    )
    const { secret, ...workspaceKey } = await answer<Row>(
      'key',
      'create',
      '--workspace',
      staging.id,
      '--name',
      'ci',
      '--allow',
      '203.0.113.9',
      '2001:db8::/32',
    )
    expect(secret).toMatch(/^hlk_ws_/)
    expect(workspaceKey).toMatchObject({ scope: 'WORKSPACE', ipAllowlist: ['203.0.113.9/32', '2001:db8::/32'] })
    const { secret: companySecret, ...companyKey } = await answer<Row>(
      'key',
      'create',
      '--company',
      'acme-corp',
      '--name',
      'reader',
      '--read-only',
      '--expires',
      '2999-01-01T00:00:00Z',
    )
    expect(companySecret).toMatch(/^hlk_co_/)
    expect(companyKey).toMatchObject({ scope: 'COMPANY', readOnly: true, expiresAt: '2999-01-01T00:00:00.000Z' })
    expect(await answer('key', 'list', '--company', 'acme-corp')).toEqual([companyKey, workspaceKey])
    expect(await answer('key', 'revoke', workspaceKey.id)).toMatchObject({
      id: workspaceKey.id,
      revokedAt: expect.any(String) as string,
    })
  })

  it('prints tables for people, the key last and once', async () => {
    await admin(['company', 'create', '--name', 'Globex'])
    const list = await admin(['company', 'list'])
    expect(list.stdout).toMatch(/^id +slug +name +dataRegion/)
    expect(list.stdout).toMatch(/\nco_\S+ +globex +Globex +AU +- +365 /)
    const made = await admin(['key', 'create', '--company', 'globex', '--name', 'one'])
    const secret = /^secret +(hlk_co_\S+)\n$/m.exec(made.stdout)![1]!
    expect((await admin(['key', 'list', '--company', 'globex'])).stdout).not.toContain(secret)
    await admin(['company', 'create', '--name', 'Empty'])
    expect((await admin(['key', 'list', '--company', 'empty'])).stdout).toBe('None.\n')
  })

  it.each([
    ['a company that is not there', ['workspace', 'list', '--company', 'nobody'], 1, 'Company not found.'],
    [
      'a workspace that is not there',
      ['project', 'create', '--workspace', 'x/y', '--name', 'n'],
      1,
      'Company not found.',
    ],
    ['a key that is not there', ['key', 'revoke', 'key_01h455vb4pex5vsknk084sn02q'], 1, 'API key not found.'],
    ['what is no id', ['key', 'revoke', 'me'], 1, 'must be an id that begins with key_.'],
    [
      'a replica in the primary region',
      ['company', 'create', '--name', 'n', '--replicate-to', 'AU'],
      1,
      'primary region',
    ],
    ['a replica twice', ['company', 'create', '--name', 'n', '--replicate-to', 'EU,EU'], 1, 'twice'],
    ['a region that is none', ['company', 'create', '--name', 'n', '--region', 'MARS'], 2, 'AU, US, EU, APAC'],
    ['a key of nothing', ['key', 'create', '--name', 'n'], 2, 'either --company or --workspace'],
    ['a moment that is none', ['key', 'create', '--company', 'c', '--name', 'n', '--expires', 'soon'], 2, 'moment'],
    ['no name', ['company', 'create'], 2, '--name'],
  ])('refuses %s', async (_, args, code, message) => {
    const result = await admin(args)
    expect(result.stderr).toContain(message)
    expect(result.code).toBe(code)
    expect(result.stdout).toBe('')
  })

  it('makes an account of the staff that can sign in, once', async () => {
    const world = await createWorld()
    const { databaseUrl, ownerUrl } = world.databases.control
    const env = { ...environment, CONTROL_DATABASE_URL: databaseUrl, CONTROL_OWNER_URL: ownerUrl }
    const create = (email: string) => admin(['staff', 'create', '--email', email, '--json'], env)
    const made = await create('First@Staff.example')
    expect(made).toMatchObject({ code: 0, stderr: '' })
    const { email, password, staffRole } = JSON.parse(made.stdout) as Record<string, string>
    expect([email, staffRole]).toEqual(['first@staff.example', 'SUPER_ADMIN'])
    const signIn = `mutation ($input: SignInInput!) { signIn(input: $input) { user { email } } }`
    const { data } = await world.gql(null, signIn, { input: { email, password } })
    expect(data.signIn.user).toEqual({ email })
    expect(await create('first@staff.example')).toMatchObject({
      code: 1,
      stderr: 'error: This address has an account.\n',
    })
    expect(await create('nobody')).toMatchObject({ code: 1 })
    await world.close()
  })

  it('refuses a slug that is taken', async () => {
    await admin(['company', 'create', '--name', 'First', '--slug', 'taken'])
    expect(await admin(['company', 'create', '--name', 'Second', '--slug', 'taken'])).toMatchObject({
      code: 1,
      stderr: 'error: The slug is taken.\n',
    })
  })

  it('says that a control database does not answer, and nothing of how it is reached', async () => {
    const url = new URL(databases.control.databaseUrl)
    url.port = '1'
    const result = await admin(['company', 'list'], { ...environment, CONTROL_DATABASE_URL: url.href })
    expect(result.code).toBe(3)
    expect(result.stderr).not.toContain(url.password)
  })

  it('makes nothing in a folder where HyreLog never was', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'empty-'))
    try {
      const result = await admin(['company', 'list'], { DATA_DIR: folder })
      expect(result.code).toBe(1)
      expect(result.stderr).toContain('There is no HyreLog')
      expect(await readdir(folder)).toEqual([])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
