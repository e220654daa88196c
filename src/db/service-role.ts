import { Client } from 'pg'
import { toDatabaseError } from './database-error.js'

const connectTimeoutMs = 5_000

interface RoleFacts {
  superuser: boolean
  bypasses: boolean
  creates: boolean
  replicates: boolean
  owns: boolean
  rewrites: boolean
  replays: boolean
  strange: boolean
}

// pg_has_role(…, 'SET') would miss membership with INHERIT only; MEMBER covers both.
const factsSql = `
  select r.rolsuper as superuser, r.rolbypassrls as bypasses, r.rolcreaterole or r.rolcreatedb as creates,
         r.rolreplication as replicates,
         exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where c.relkind in ('r', 'p') and n.nspname = any (current_schemas(false))
                   and pg_has_role(r.oid, c.relowner, 'MEMBER'))
           or exists (select from pg_database d where d.datname = current_database() and pg_has_role(r.oid, d.datdba, 'MEMBER')) as owns,
         exists (select from pg_class c where c.oid in (to_regclass('event'), to_regclass('merkle_node'))
                 and (has_table_privilege(r.oid, c.oid, 'UPDATE') or has_table_privilege(r.oid, c.oid, 'DELETE')
                      or has_table_privilege(r.oid, c.oid, 'TRUNCATE') or has_table_privilege(r.oid, c.oid, 'TRIGGER'))) as rewrites,
         has_parameter_privilege(r.oid, 'session_replication_role', 'SET') as replays,
         exists (select from pg_class c where c.oid in (to_regclass('event'), to_regclass('company'))
                 and not has_table_privilege(r.oid, c.oid, 'SELECT')) as strange
    from pg_roles r where r.rolname = current_user`

/**
 * What is wrong with the role a service URL logs in as: it must be neither superuser nor owner, nor able to become one,
 * or the database's protection of the event log would be a matter of good will. An empty list when all is well. Throws
 * `DatabaseError` where the database can't be asked.
 */
export async function checkServiceRole(url: string, name = 'database'): Promise<string[]> {
  const client = new Client({
    connectionString: url,
    application_name: 'hyrelog check',
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: connectTimeoutMs,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<RoleFacts>(factsSql)
    const facts = rows[0]!
    const problems: string[] = []
    if (facts.superuser) problems.push('is a superuser')
    if (facts.bypasses && !facts.superuser) problems.push('bypasses row-level security')
    if (facts.creates && !facts.superuser) problems.push('may create roles or databases')
    if (facts.replicates && !facts.superuser) problems.push('has the REPLICATION attribute')
    if (facts.owns && !facts.superuser)
      problems.push('owns the database or its tables, or is a member of the role that does')
    if (facts.rewrites && !facts.superuser && !facts.owns) problems.push('may UPDATE, DELETE or TRUNCATE the event log')
    if (facts.replays && !facts.superuser) problems.push('may set session_replication_role')
    if (facts.strange) problems.push('is not the role that the database was migrated for, and may read nothing there')
    return problems
  } catch (error) {
    throw toDatabaseError(error, name)
  } finally {
    await client.end().catch(() => undefined)
  }
}
