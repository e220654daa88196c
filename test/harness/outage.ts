import { Client } from 'pg'
import { inject } from 'vitest'
import type { Region } from '../../src/kernel/region.js'
import {
  createWorld,
  type GraphqlAnswer,
  sendGraphql,
  type World,
  type WorldOptions,
  type WorldWorkspace,
} from './app.js'
import { eventually } from './eventually.js'
import { TcpProxy } from './tcp-proxy.js'

export type Receipt = {
  readonly eventId: string
  readonly status: 'RECORDED' | 'QUEUED'
  readonly replayed: boolean
  readonly sequence: number | null
  readonly hash: string | null
}

/** A world whose EU and control database are reached over networks that can fail. */
export interface OutageWorld extends World {
  readonly eu: TcpProxy
  readonly controlProxy: TcpProxy
  /** Statements past every proxy, in the control database, as superuser would be: as the service. */
  pending(region?: Region): Promise<number>
}

export async function createOutageWorld(options: WorldOptions = {}): Promise<OutageWorld> {
  const { serviceUrl } = inject('postgres')
  const [eu, controlProxy] = [await TcpProxy.before(serviceUrl), await TcpProxy.before(serviceUrl)]
  const world = await createWorld({
    regionUrl: (region, url) => (region === 'EU' ? eu.urlFor(url) : url),
    controlUrl: (url) => controlProxy.urlFor(url),
    ...options,
  })
  return {
    ...world,
    eu,
    controlProxy,
    async pending(region = 'EU') {
      const [row] = await world.app.control.query<{ n: string }>(
        'select count(*) as n from pending_write where region = $1',
        [region],
      )
      return Number(row!.n)
    },
    async close() {
      await eu.set('pass')
      await controlProxy.set('pass')
      // What the proxy cut off still holds its locks, and would be waited for.
      await endIdleTransactions(world)
      await world.close()
      await eu.close()
      await controlProxy.close()
    },
  }
}

/** As a server that died would have: what the proxy cut off still holds its locks, for seconds. */
async function endIdleTransactions({ databases }: World): Promise<void> {
  const client = new Client({ connectionString: databases.superuserUrl(databases.regions.EU.name) })
  await client.connect()
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = $1 and state like 'idle in transaction%'`,
    [databases.regions.EU.name],
  )
  await client.end()
}

const receiptFields = 'eventId status replayed sequence hash'

/** Records one event by a process of the service. */
export const ingestAt = (url: string, key: string, input: Record<string, unknown>): Promise<GraphqlAnswer> =>
  sendGraphql(
    url,
    key,
    `mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { ${receiptFields} } event { id } } }`,
    { input },
  )

export const ingestManyAt = (
  url: string,
  key: string,
  events: readonly Record<string, unknown>[],
): Promise<GraphqlAnswer> =>
  sendGraphql(
    url,
    key,
    `mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { ${receiptFields} } } }`,
    { input: { events } },
  )

/** The receipt of an event that was taken. */
export async function taken(answer: Promise<GraphqlAnswer>): Promise<Receipt> {
  const { data, errors } = await answer
  if (errors !== undefined) throw new Error(JSON.stringify(errors))
  return data.ingestEvent.receipt
}

/** Records events one after another; answers their receipts. */
export async function takeEach(
  world: World,
  workspace: WorldWorkspace,
  events: readonly Record<string, unknown>[],
): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  for (const event of events) receipts.push(await taken(ingestAt(world.url, workspace.key, event)))
  return receipts
}

/** Until a region's writes go home again in this process. */
export const isHome = (world: Pick<World, 'app'>, region: Region = 'EU'): Promise<true> =>
  eventually(`${region} to be home`, () => world.app.modes.home(region) !== null, 20_000)

/** Brings the EU back and waits until its writes go home. */
export async function heal(world: OutageWorld): Promise<void> {
  await endIdleTransactions(world)
  await world.eu.set('pass')
  await isHome(world)
  // Of Acme's own nothing may be read yet: where it owes an erasure.
  const { gid } = world.globex.in.EU
  await eventually('the EU to be read again', async () => {
    const answer = await world.gql(
      world.globex.key,
      `{ workspaceEvents(workspaceId: "${gid}", first: 1) { nodes { id } } }`,
    )
    return answer.errors === undefined
  })
}

/** The actions of a workspace's events, oldest first, by the API. */
export async function actionsOf(world: World, workspace: WorldWorkspace): Promise<string[]> {
  const { data, errors } = await world.gql(
    workspace.key,
    '{ workspaceEvents(first: 500) { nodes { action sequence } } }',
  )
  if (errors !== undefined) throw new Error(JSON.stringify(errors))
  const nodes: { action: string; sequence: number }[] = data.workspaceEvents.nodes
  return nodes.toSorted((a, b) => a.sequence - b.sequence).map(({ action }) => action)
}
