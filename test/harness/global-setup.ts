import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { TestProject } from 'vitest/node'
import { startEmbeddedServer } from '../../src/db/embedded/embedded-server.js'
import { migrate } from '../../src/db/migrate.js'

export interface TestServer {
  readonly superuserUrl: string
  readonly ownerUrl: string
  readonly serviceUrl: string
}

declare module 'vitest' {
  // oxlint-disable-next-line no-shadow -- the name is vitest's
  interface ProvidedContext {
    postgres: TestServer
  }
}

const swapDatabase = (url: string, database: string): string => {
  const swapped = new URL(url)
  swapped.pathname = `/${database}`
  return swapped.href
}

async function makeTemplate(server: TestServer, kind: 'control' | 'region'): Promise<void> {
  const name = `tpl_${kind}`
  const client = new Client({ connectionString: server.superuserUrl })
  await client.connect()
  await client.query(`create database ${name} owner hyrelog_owner`)
  await client.end()
  await migrate({ ownerUrl: swapDatabase(server.ownerUrl, name), serviceRole: 'hyrelog_service', kind })
}

/** One PostgreSQL server for the whole run, with a migrated template database of each kind to clone from. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'hyrelog-test-'))
  // mkdtemp makes it private; as root, the server runs as somebody else.
  await chmod(folder, 0o711)
  const password = randomBytes(16).toString('hex')
  const server = await startEmbeddedServer({
    name: 'TEST',
    directory: join(folder, 'postgres'),
    secrets: { superuser: password, owner: password, service: password },
    logFile: join(folder, 'postgres.log'),
    // Nothing here outlives the run. With fsync off, cloning a template takes milliseconds.
    settings: {
      fsync: 'off',
      full_page_writes: 'off',
      synchronous_commit: 'off',
      max_connections: '400',
      autovacuum: 'off',
    },
  })
  const urls: TestServer = {
    superuserUrl: server.url('superuser', 'postgres'),
    ownerUrl: server.url('owner', 'postgres'),
    serviceUrl: server.url('service', 'postgres'),
  }
  await Promise.all([makeTemplate(urls, 'control'), makeTemplate(urls, 'region')])
  project.provide('postgres', urls)
  return async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
