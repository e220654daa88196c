import { mkdtemp, readFile, rm, chmod } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { bareTableSql } from './bare-table.js'
import { runCli, startService } from './processes.js'

export const regions = ['AU', 'US', 'EU', 'APAC'] as const
export type BenchRegion = (typeof regions)[number]

/** Connections of one server's pool to one database, on both sides of every comparison (the service's default). */
export const poolMax = 10

export interface BenchWorkspace {
  readonly id: string
  readonly apiKey: string
  readonly projectId: string
}

/** The service running on a fresh data directory, and what the measurements need to know of it. */
export interface BenchWorld {
  readonly quick: boolean
  readonly endpoint: string
  /** A key that reads everything of the company. */
  readonly companyKey: string
  /** One workspace of the company in each region. */
  readonly workspaces: Readonly<Record<BenchRegion, BenchWorkspace>>
  /** The service's own login. */
  databaseUrl(server: BenchRegion | 'control'): string
  /** For what row-level security does not let the service do, such as COPY. */
  superuserUrl(server: BenchRegion | 'control'): string
  /** Runs a statement as superuser, whom row-level security does not bind. */
  sql(server: BenchRegion | 'control', text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

/** What of DATA_DIR/secrets.json is read here. */
interface SecretsFile {
  readonly passwords: Readonly<
    Record<BenchRegion | 'control', { readonly superuser: string; readonly service: string }>
  >
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no free port')
  return address.port
}

const readJson = async <T>(path: string): Promise<T> => JSON.parse(await readFile(path, 'utf8')) as T

/** A company in Europe with a workspace, a project and a key in every region, made as an operator makes them. */
async function makeCompany(dataDir: string): Promise<Pick<BenchWorld, 'companyKey' | 'workspaces'>> {
  const admin = (...args: readonly string[]): Promise<Record<string, string>> =>
    runCli(dataDir, ['admin', ...args, '--json'])
  await admin('company', 'create', '--name', 'Bench', '--region', 'EU', '--retention-days', '3650')
  const { secret: companyKey } = await admin('key', 'create', '--company', 'bench', '--name', 'reader')
  const workspaces = await Promise.all(
    regions.map(async (region): Promise<[BenchRegion, BenchWorkspace]> => {
      const slug = region.toLowerCase()
      const own = `bench/${slug}`
      const { id } = await admin('workspace', 'create', '--company', 'bench', '--name', region, '--region', region)
      const { id: projectId } = await admin('project', 'create', '--workspace', own, '--name', 'Main')
      const { secret } = await admin('key', 'create', '--workspace', own, '--name', 'writer')
      return [region, { id: id ?? '', apiKey: secret ?? '', projectId: projectId ?? '' }]
    }),
  )
  return { companyKey: companyKey ?? '', workspaces: Object.fromEntries(workspaces) as BenchWorld['workspaces'] }
}

/** Starts the service as `npm start` does, in a folder that `close` removes. */
export async function openBenchWorld(quick: boolean): Promise<BenchWorld> {
  const dataDir = await mkdtemp(join(tmpdir(), 'hyrelog-bench-'))
  // As root, the servers run as somebody else.
  await chmod(dataDir, 0o711)
  const service = await startService(dataDir, await freePort())
  const close = async (): Promise<void> => {
    await service.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
  try {
    return await furnish(quick, dataDir, `${service.origin}/graphql`, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function furnish(
  quick: boolean,
  dataDir: string,
  endpoint: string,
  close: () => Promise<void>,
): Promise<BenchWorld> {
  const company = await makeCompany(dataDir)
  const secrets = await readJson<SecretsFile>(join(dataDir, 'secrets.json'))
  const ports = new Map<string, string>()
  for (const server of ['control', ...regions]) {
    const lines = (await readFile(join(dataDir, server.toLowerCase(), 'postmaster.pid'), 'utf8')).split('\n')
    ports.set(server, lines[3]?.trim() ?? '')
  }
  const urlOf = (server: BenchRegion | 'control', user: string, password: string): string =>
    `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${ports.get(server)}/hyrelog`
  const world: BenchWorld = {
    quick,
    endpoint,
    ...company,
    databaseUrl: (server) => urlOf(server, 'hyrelog_service', secrets.passwords[server].service),
    superuserUrl: (server) => urlOf(server, 'postgres', secrets.passwords[server].superuser),
    async sql(server, text, values = []) {
      const client = new Client({ connectionString: world.superuserUrl(server) })
      await client.connect()
      try {
        return (await client.query<Record<string, unknown>>(text, [...values])).rows
      } finally {
        await client.end()
      }
    },
    close,
  }
  await world.sql('EU', bareTableSql)
  return world
}

export const authorization = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })
