import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createHyreLogClient, type AuditEvent } from '../../src/sdk/index.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import { makeCli, type Cli } from '../harness/cli.js'

let world: World
let cli: Cli
let run: Cli['run']
let folder = ''
let workspaces: WorldWorkspace[] = []
/** A workspace no other test has recorded in. */
let workspace: WorldWorkspace

beforeAll(async () => {
  cli = makeCli()
  run = cli.run
  world = await createWorld()
  folder = await mkdtemp(join(tmpdir(), 'hyrelog-cli-'))
  workspaces = [world.acme, world.globex].flatMap((company) => Object.values(company.in))
})
afterAll(async () => {
  cli?.remove()
  if (folder !== '') await rm(folder, { recursive: true })
  await world?.close()
})
beforeEach(() => {
  const next = workspaces.pop()
  if (next === undefined) throw new Error('more tests than workspaces')
  workspace = next
})

const env = () => ({ HYRELOG_ENDPOINT: world.url, HYRELOG_API_KEY: workspace.key })
const line = (serial: number, more: object = {}): string =>
  JSON.stringify({
    action: 'door.opened',
    category: 'access',
    traceId: `t${serial}`,
    idempotencyKey: `k${serial}`,
    ...more,
  })

async function write(name: string, content: string | Buffer): Promise<string> {
  await writeFile(join(folder, name), content)
  return join(folder, name)
}

/** What the workspace holds, in the order of its chain. */
async function recorded(): Promise<AuditEvent[]> {
  const client = createHyreLogClient({ endpoint: world.url, apiKey: workspace.key })
  const { workspaceEvents: page } = await client.workspaceEvents({ first: 500 })
  if (page === null || page.pageInfo.hasNextPage) throw new Error('the workspace holds no more than a page')
  return page.edges.map((edge) => edge.node).sort((a, b) => a.sequence - b.sequence)
}
const traces = async (): Promise<(string | null)[]> => (await recorded()).map((event) => event.traceId)

describe('hyrelog ingest', () => {
  test('records the files in order, and again nothing', async () => {
    const files = [
      await write('one.ndjson', [1, 2, 3].map((serial) => line(serial)).join('\n')),
      await write('two.ndjson.gz', gzipSync(`${line(4)}\n${line(5)}\n`)),
    ]
    const first = await run(['ingest', '--batch', '2', ...files], { env: env() })
    expect(first).toEqual({ code: 0, stdout: '5 read, 5 recorded, 0 replayed, 0 refused\n', stderr: '' })
    expect(await traces()).toEqual(['t1', 't2', 't3', 't4', 't5'])
    const second = await run(['ingest', ...files], { env: env() })
    expect(second).toMatchObject({ code: 0, stdout: '5 read, 0 recorded, 5 replayed, 0 refused\n' })
    expect(await traces()).toHaveLength(5)
  })

  test('reports what is refused by file and line, and records all the rest in order', async () => {
    const lines = Array.from({ length: 12 }, (_, index) => line(index + 1))
    lines[1] = line(2, { action: 'mail to jo@example.com' })
    lines[4] = line(5, { colour: 'red' })
    lines[6] = 'not json'
    lines[8] = line(9, { occurredAt: 'yesterday' })
    lines[10] = line(11, { actor: { email: 'nobody' }, category: '' })
    const file = await write('mixed.ndjson', lines.join('\n'))
    const result = await run(['ingest', file], { env: env() })
    expect(result).toMatchObject({ code: 1, stdout: '12 read, 7 recorded, 0 replayed, 5 refused\n' })
    expect(result.stderr).toMatch(/^mixed[.]ndjson:2 refused: action: .*@/m)
    expect(result.stderr).toMatch(/^mixed[.]ndjson:5 refused: .*colour/m)
    expect(result.stderr).toMatch(/^mixed[.]ndjson:7 refused: is not JSON[.]$/m)
    expect(result.stderr).toMatch(/^mixed[.]ndjson:9 refused: occurredAt: /m)
    expect(result.stderr).toMatch(/^mixed[.]ndjson:11 refused: category: .* actor[.]email: /m)
    expect(await traces()).toEqual(['t1', 't3', 't4', 't6', 't8', 't10', 't12'])
  })

  test('finds every faulty event, however many there are', async () => {
    const lines = Array.from({ length: 400 }, (_, index) => line(index, index % 2 === 0 ? {} : { category: 'system' }))
    const result = await run(['ingest'], { env: env(), stdin: lines.join('\n') })
    expect(result).toMatchObject({ code: 1, stdout: '400 read, 200 recorded, 0 replayed, 200 refused\n' })
    expect(result.stderr.split('\n').filter((text) => text.startsWith('stdin:'))).toHaveLength(200)
    expect(await recorded()).toHaveLength(200)
  })

  test('another event under a known key is refused alone', async () => {
    await run(['ingest', '-'], { env: env(), stdin: line(1) })
    const stdin = [line(1, { action: 'door.closed' }), line(2), line(3)].join('\n')
    const result = await run(['ingest', '-'], { env: env(), stdin })
    expect(result).toMatchObject({ code: 1, stdout: '3 read, 2 recorded, 0 replayed, 1 refused\n' })
    expect(result.stderr).toMatch(/^stdin:1 refused: /)
    expect((await recorded()).map((event) => event.action)).toEqual(['door.opened', 'door.opened', 'door.opened'])
  })

  test('--project goes to events that name none; an unknown project stops it before anything is recorded', async () => {
    const unknown = 'prj_00000000000000000000000000'
    const stopped = await run(['ingest', '--project', unknown], { env: env(), stdin: `${line(1)}\n${line(2)}` })
    expect(stopped).toMatchObject({ code: 3, stdout: '2 read, 0 recorded, 0 replayed, 0 refused\n' })
    expect(stopped.stderr).toContain('NOT_FOUND')
    const result = await run(['ingest', '--project', workspace.project.gid], { env: env(), stdin: line(1) })
    expect(result.code).toBe(0)
    expect((await recorded()).map((event) => event.project?.id)).toEqual([workspace.project.gid])
  })

  test('a file that can not be read leaves the others recorded, and the exit code says so', async () => {
    const file = await write('good.ndjson', line(1))
    const result = await run(['ingest', join(folder, 'absent.json'), file], { env: env() })
    expect(result).toEqual({
      code: 1,
      stdout: '1 read, 1 recorded, 0 replayed, 0 refused, 1 file unreadable\n',
      stderr: 'absent.json does not exist.\n',
    })
  })

  test('stops with 3 where the key is refused or nobody answers', async () => {
    const stdin = line(1)
    const company = await run(['ingest', '--key', world.acme.key], { env: env(), stdin })
    expect(company).toMatchObject({ code: 3, stderr: expect.stringContaining('FORBIDDEN') })
    const unknown = await run(['ingest', '--key', 'hlk_ws_nonsense'], { env: env(), stdin })
    expect(unknown).toMatchObject({ code: 3, stderr: expect.stringContaining('UNAUTHENTICATED') })
    const nobody = await run(['ingest', '--endpoint', 'http://127.0.0.1:9/graphql'], {
      env: env(),
      stdin: '{"action":"door.opened","category":"access"}',
    })
    expect(nobody).toMatchObject({ code: 3, stderr: expect.stringContaining('NETWORK_ERROR') })
    expect(await recorded()).toEqual([])
  })

  test('explains itself, and answers 2 to what it does not understand', async () => {
    const help = await run(['ingest', '--help'])
    expect(help.code).toBe(0)
    for (const part of [
      '--format',
      '--endpoint',
      '--key',
      '--batch',
      '--project',
      'HYRELOG_API_KEY',
      'Exit codes',
      'Examples',
    ])
      expect(help.stdout).toContain(part)
    expect((await run(['--version'])).stdout).toMatch(/^\d+[.]\d+[.]\d+\n$/)
    for (const args of [
      ['ingest'],
      ['ingest', '--batch', '0'],
      ['ingest', '--format', 'xml'],
      ['ingest', '--key', 'k', '--endpoint', 'ftp://x'],
    ])
      expect(await run(args), args.join(' ')).toMatchObject({ code: 2, stderr: expect.stringContaining('error:') })
  })
})
