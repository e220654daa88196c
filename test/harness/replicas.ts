import { Client } from 'pg'
import type { Region } from '../../src/kernel/region.js'
import type { Person } from './actors.js'
import type { World, WorldCompany } from './app.js'
import { eventually } from './eventually.js'

/** Says where a company keeps replicas, as staff do. */
export async function setReplicas(staff: Person, company: WorldCompany, replicateTo: readonly Region[]): Promise<void> {
  const answer = await staff.gql(
    'mutation ($input: SetCompanyReplicationInput!) { setCompanyReplication(input: $input) { company { replicateTo } } }',
    { input: { companyId: company.gid, replicateTo } },
  )
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
}

/** Rows of a region's database, as nobody but a superuser sees them. */
export async function rowsOf<Row>(
  world: World,
  region: Region,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: world.databases.superuserUrl(world.databases.regions[region].name) })
  await client.connect()
  try {
    // What an attacker on the server's disk could do, a trigger does not keep from being done.
    await client.query('set session_replication_role = replica')
    return (await (values.length === 0 ? client.query(sql) : client.query(sql, [...values]))).rows as Row[]
  } finally {
    await client.end()
  }
}

/** How many rows of a table a region has of these workspaces. */
export async function countRows(
  world: World,
  region: Region,
  table: string,
  workspaceIds: readonly string[],
): Promise<number> {
  const [row] = await rowsOf<{ n: number }>(
    world,
    region,
    `select count(*)::integer as n from ${table} where workspace_id = any ($1::uuid[])`,
    [workspaceIds],
  )
  return row!.n
}

interface ReplicaRow {
  readonly sequence: number
  readonly state: string
  readonly stopped_reason: string | null
  readonly filled: boolean
  /** Up to here archives have taken events from it. */
  readonly dropped: number
  readonly frontier: string
}

/** Where a replica stands; null where there is none. */
export async function replicaOf(world: World, region: Region, workspaceId: string): Promise<ReplicaRow | null> {
  const [row] = await rowsOf<ReplicaRow>(
    world,
    region,
    `select sequence::integer, state, stopped_reason, filled_at is not null as filled,
       dropped_sequence::integer as dropped, encode(frontier, 'hex') as frontier
     from replica.chain_head where workspace_id = $1`,
    [workspaceId],
  )
  return row ?? null
}

/** Waits until a replica has so many events. */
export const copied = (world: World, region: Region, workspaceId: string, sequence: number) =>
  eventually(`${sequence} events in ${region}`, async () => {
    const head = await replicaOf(world, region, workspaceId)
    return head !== null && head.sequence >= sequence && head.filled
  })
