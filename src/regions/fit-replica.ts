import type { Transaction } from '../db/database.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { Region } from '../kernel/region.js'

/** What a replica must have to be read: every one of these chains, whole once, up to an event at least. */
export interface RequiredChain {
  readonly workspaceId: string
  /** The newest erasure of it that is known of; 0: none. */
  readonly sequence: number
}

/** Where a region's events of some companies are copied, in the order in which they are to be asked. */
export interface Replicas {
  readonly regions: readonly Region[]
  readonly required: readonly RequiredChain[]
}

/**
 * The regions that keep replicas of what all these companies have in a region, or null where there is none: what one of
 * them has not copied would be missing without a word. `workspaceIds`: what is to be read; all of the companies' in the
 * region where left out. Throws REGION_UNAVAILABLE where control does not answer and it is not known.
 */
export async function replicasOf(
  facts: Pick<ControlFacts, 'company' | 'workspacesOf' | 'erasureFloors'>,
  home: Region,
  companies: readonly string[],
  workspaceIds: readonly string[] | undefined,
): Promise<Replicas | null> {
  const known = await Promise.all(companies.map((id) => facts.company(id)))
  const [first, ...others] = known.map((company) => company?.replicateTo ?? [])
  const regions = (first ?? []).filter(
    (region) => region !== home && others.every((replicateTo) => replicateTo.includes(region)),
  )
  if (regions.length === 0) return null
  const ids = new Set(workspaceIds)
  const [lists, floors] = await Promise.all([
    Promise.all(companies.map((id) => facts.workspacesOf(id))),
    Promise.all(companies.map((id) => facts.erasureFloors(id))),
  ])
  const sequences = new Map(floors.flat().map((floor) => [floor.workspaceId, floor.sequence]))
  const required = lists
    .flat()
    .filter(({ id, dataRegion }) => dataRegion === home && (workspaceIds === undefined || ids.has(id)))
    .map(({ id }) => ({ workspaceId: id, sequence: sequences.get(id) ?? 0 }))
  return { regions, required }
}

/**
 * Whether the replicas in the transaction's database may stand in for their home: none was stopped or is being filled for
 * the first time, and each has what erasures took away. The last is what keeps an erased value from coming back.
 */
export async function isReplicaFit(
  tx: Transaction,
  home: Region,
  required: readonly RequiredChain[],
): Promise<boolean> {
  const [row] = await tx.query<{ fit: boolean }>(
    `select count(*) = cardinality($1::uuid[]) as fit
     from unnest($1::uuid[], $2::bigint[]) as w (id, sequence) join chain_head h on h.workspace_id = w.id
     where h.home_region = $3 and h.state = 'COPYING' and h.filled_at is not null and h.sequence >= w.sequence`,
    [required.map(({ workspaceId }) => workspaceId), required.map(({ sequence }) => sequence), home],
    'replica_fit',
  )
  return row?.fit === true
}
