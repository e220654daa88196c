import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { inject } from 'vitest'
import { regions, type Region } from '../../src/kernel/region.js'
import { TcpProxy } from './tcp-proxy.js'

/** How to reach one database: as the service, and as the owner of its tables. */
export interface DatabaseUrls {
  readonly name: string
  readonly databaseUrl: string
  readonly ownerUrl: string
}

export interface ClonedDatabases {
  readonly control: DatabaseUrls
  readonly regions: Readonly<Record<Region, DatabaseUrls>>
  /** For what no role of the product may do. */
  readonly superuserUrl: (database: string) => string
  readonly drop: () => Promise<void>
}

const withDatabase = (url: string, database: string): string => {
  const swapped = new URL(url)
  swapped.pathname = `/${database}`
  return swapped.href
}

/** For what no role of the product may do. */
export const superuserUrl = (database: string): string => withDatabase(inject('postgres').superuserUrl, database)

const urlsOf = (name: string): DatabaseUrls => {
  const server = inject('postgres')
  return { name, databaseUrl: withDatabase(server.serviceUrl, name), ownerUrl: withDatabase(server.ownerUrl, name) }
}

/** Runs statements as superuser on the test server's maintenance database, one after another. */
async function administer(statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: inject('postgres').superuserUrl })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

/** A database without tables, owned by the owner role. */
export async function createEmptyDatabase(): Promise<DatabaseUrls & { readonly drop: () => Promise<void> }> {
  const name = `t_${randomBytes(6).toString('hex')}`
  await administer([`create database ${name} owner hyrelog_owner`])
  return { ...urlsOf(name), drop: () => administer([`drop database if exists ${name} with (force)`]) }
}

/** Fresh control and region databases of a test file's own, cloned from the migrated templates in milliseconds. */
export async function cloneDatabases(): Promise<ClonedDatabases> {
  const prefix = `t_${randomBytes(6).toString('hex')}`
  const regionNames = Object.fromEntries(regions.map((region) => [region, `${prefix}_${region.toLowerCase()}`]))
  const controlName = `${prefix}_control`
  const create = (name: string, template: string): string =>
    `create database ${name} owner hyrelog_owner template ${template} strategy file_copy`
  await administer([
    create(controlName, 'tpl_control'),
    ...Object.values(regionNames).map((name) => create(name, 'tpl_region')),
  ])
  return {
    control: urlsOf(controlName),
    regions: Object.fromEntries(regions.map((region) => [region, urlsOf(regionNames[region]!)])) as Record<
      Region,
      DatabaseUrls
    >,
    superuserUrl,
    drop: () => {
      TcpProxy.endAbandoned()
      return administer(
        [controlName, ...Object.values(regionNames)].map((name) => `drop database if exists ${name} with (force)`),
      )
    },
  }
}
