import { Client } from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { migrate, type MigrationKind } from '../../src/db/migrate.js'
import { cloneDatabases, createEmptyDatabase, type DatabaseUrls } from '../harness/databases.js'

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function makeEmpty(): Promise<DatabaseUrls> {
  const made = await createEmptyDatabase()
  cleanUps.push(made.drop)
  return made
}
async function ownerOf(urls: DatabaseUrls): Promise<Client> {
  const client = new Client({ connectionString: urls.ownerUrl })
  await client.connect()
  cleanUps.push(() => client.end())
  return client
}
const run = (
  urls: DatabaseUrls,
  kind: MigrationKind,
  serviceRole = 'hyrelog_service',
): Promise<{ applied: string[] }> => migrate({ ownerUrl: urls.ownerUrl, serviceRole, kind })
const tablesOf = async (client: Client): Promise<string[]> => {
  const { rows } = await client.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'public' order by 1`,
  )
  return rows.map((row) => row.name)
}

describe.each(['control', 'region'] as const)('the migrations of %s', (kind) => {
  it('make everything from nothing, and nothing the second time', async () => {
    const urls = await makeEmpty()
    const { applied } = await run(urls, kind)
    expect(applied.length).toBeGreaterThan(0)
    expect(applied).toEqual([...applied].sort())
    const client = await ownerOf(urls)
    expect(await tablesOf(client)).toContain(kind === 'control' ? 'company' : 'event')
    expect(await run(urls, kind)).toEqual({ applied: [] })
  })

  it('are applied once by processes that start together', async () => {
    const urls = await makeEmpty()
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => run(urls, kind)))
    expect(outcomes.filter((outcome) => outcome.applied.length > 0)).toHaveLength(1)
  })
})

describe('migrate', () => {
  it('leaves nothing of a migration that fails', async () => {
    const urls = await makeEmpty()
    const client = await ownerOf(urls)
    // Stands in the way of the first migration, half way through.
    await client.query('create table merkle_node (id integer)')
    await expect(run(urls, 'region')).rejects.toMatchObject({ code: '42P07' })
    expect(await tablesOf(client)).toEqual(['hyrelog_migration', 'merkle_node'])
    await client.query('drop table merkle_node')
    expect((await run(urls, 'region')).applied.length).toBeGreaterThan(0)
  })

  it('names a service role that does not exist, and makes nothing', async () => {
    const urls = await makeEmpty()
    await expect(run(urls, 'region', 'no_such_role')).rejects.toThrow('no role no_such_role')
    expect(await tablesOf(await ownerOf(urls))).toEqual([])
  })

  it('refuses a database of a newer version, and one whose migrations were changed', async () => {
    const urls = await makeEmpty()
    await run(urls, 'region')
    const client = await ownerOf(urls)
    await client.query(`insert into hyrelog_migration (name, digest) values ('9999-future.sql', 'x')`)
    await expect(run(urls, 'region')).rejects.toThrow('newer')
    await client.query(`delete from hyrelog_migration where name = '9999-future.sql'`)
    await client.query(`update hyrelog_migration set digest = 'x'`)
    await expect(run(urls, 'region')).rejects.toThrow('changed after')
  })

  it('gives the service role no more than it needs', async () => {
    const databases = await cloneDatabases()
    cleanUps.push(databases.drop)
    const client = new Client({ connectionString: databases.regions.EU.databaseUrl })
    await client.connect()
    cleanUps.push(() => client.end())
    const { rows } = await client.query<{ table_schema: string; privileges: string[] }>(
      `select table_schema, array_agg(privilege_type order by privilege_type)::text[] as privileges
       from information_schema.role_table_grants
       where table_name = 'event' and grantee = current_user group by 1 order by 1`,
    )
    expect(rows).toEqual([
      { table_schema: 'public', privileges: ['INSERT', 'SELECT'] },
      // A copy that is no longer wanted, or found wrong, is deleted. It is never changed.
      { table_schema: 'replica', privileges: ['DELETE', 'INSERT', 'SELECT'] },
    ])
    await expect(client.query('create table mine (id integer)')).rejects.toMatchObject({ code: '42501' })
  })
})
