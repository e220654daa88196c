import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { DatabaseError, toDatabaseError } from './database-error.js'

export type MigrationKind = 'control' | 'region'

export interface MigrateOptions {
  /** URL of the role that owns the tables. */
  readonly ownerUrl: string
  /** Role the service runs as; the migrations grant it what it may do. */
  readonly serviceRole: string
  readonly kind: MigrationKind
  /** How messages call the database. */
  readonly name?: string
}

interface Migration {
  readonly name: string
  readonly sql: string
  readonly digest: string
}

const connectTimeoutMs = 5_000
// Any number that is ours alone: two processes that start together take turns.
const migrationLock = 4_927_115_308
const serverIsOldBelow = 160_000

const loaded = new Map<MigrationKind, Promise<readonly Migration[]>>()

/** The migrations of a kind of database, in order. Read once per process. */
function load(kind: MigrationKind): Promise<readonly Migration[]> {
  let migrations = loaded.get(kind)
  if (migrations === undefined) {
    migrations = readMigrations(kind)
    loaded.set(kind, migrations)
  }
  return migrations
}

async function readMigrations(kind: MigrationKind): Promise<readonly Migration[]> {
  const folder = fileURLToPath(new URL(`../../migrations/${kind}/`, import.meta.url))
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(`${folder}${name}`, 'utf8')
      return { name, sql, digest: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** The user of a connection URL, which is the role that logs in. */
export const roleOf = (url: string): string => decodeURIComponent(new URL(url).username)

async function appliedBefore(client: Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; digest: string }>('select name, digest from hyrelog_migration')
  return new Map(rows.map((row) => [row.name, row.digest]))
}

function pendingOf(migrations: readonly Migration[], applied: Map<string, string>, database: string): Migration[] {
  const known = new Set(migrations.map((migration) => migration.name))
  for (const name of applied.keys())
    if (!known.has(name))
      throw new DatabaseError(database, 'other', `was migrated by a newer HyreLog (${name} is not known here)`)
  return migrations.filter((migration) => {
    const digest = applied.get(migration.name)
    if (digest !== undefined && digest !== migration.digest)
      throw new DatabaseError(database, 'other', `migration ${migration.name} was changed after it had been applied`)
    return digest === undefined
  })
}

async function apply(client: Client, migration: Migration, serviceRole: string): Promise<void> {
  await client.query('begin')
  await client.query(migration.sql.replaceAll('{{service}}', quoteIdentifier(serviceRole)))
  await client.query('insert into hyrelog_migration (name, digest) values ($1, $2)', [migration.name, migration.digest])
  await client.query('commit')
}

async function checkServer(client: Client, serviceRole: string, database: string): Promise<void> {
  const { rows } = await client.query<{ version: number; role: boolean }>(
    `select current_setting('server_version_num')::integer as version,
            exists (select from pg_roles where rolname = $1) as role`,
    [serviceRole],
  )
  const server = rows[0]!
  if (server.version < serverIsOldBelow) throw new DatabaseError(database, 'other', 'needs PostgreSQL 16 or newer')
  if (!server.role)
    throw new DatabaseError(database, 'other', `has no role ${serviceRole}, which the service logs in as`)
}

async function migrateWith(client: Client, options: MigrateOptions, database: string): Promise<string[]> {
  const migrations = await load(options.kind)
  // The usual case, one look: everything is there already.
  const present = await client.query(`select to_regclass('hyrelog_migration') is not null as present`)
  if ((present.rows[0] as { present: boolean }).present)
    if (pendingOf(migrations, await appliedBefore(client), database).length === 0) return []
  await checkServer(client, options.serviceRole, database)
  await client.query('select pg_advisory_lock($1)', [migrationLock])
  await client.query(
    `create table if not exists hyrelog_migration (
       name text primary key, digest text not null, applied_at timestamptz(3) not null default now())`,
  )
  const pending = pendingOf(migrations, await appliedBefore(client), database)
  for (const migration of pending) await apply(client, migration, options.serviceRole)
  return pending.map((migration) => migration.name)
}

/**
 * Brings a database up to date, each migration in a transaction of its own; returns the names of those it applied. Safe
 * to run from several processes at once; a database that is up to date costs one connection and two small queries.
 * Throws {@link DatabaseError}.
 */
export async function migrate(options: MigrateOptions): Promise<{ applied: string[] }> {
  const database = options.name ?? options.kind.toUpperCase()
  const client = new Client({
    connectionString: options.ownerUrl,
    application_name: 'hyrelog migrate',
    connectionTimeoutMillis: connectTimeoutMs,
  })
  // A connection that ends while it waits for the lock is reported by the statement; the event only must be heard.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return { applied: await migrateWith(client, options, database) }
  } catch (error) {
    throw toDatabaseError(error, database)
  } finally {
    // Ends the session, and with it the lock.
    await client.end().catch(() => undefined)
  }
}
