import type { Viewer } from '../auth/viewer.js'
import type { EventReads } from '../events/event-reads.js'
import { deadlineAfter } from '../kernel/deadline.js'
import { badInput } from '../kernel/domain-error.js'
import { consistencyProof } from '../ledger/proof.js'
import { valueOf } from '../regions/region-gateway.js'
import { findReachableWorkspace } from './checkpoint-reads.js'
import { findTreeSize } from './checkpoint.store.js'
import { treeNodeReader } from './tree-node.store.js'

/** That a workspace's tree of `toTreeSize` leaves begins with that of `fromTreeSize` (RFC 6962, 2.1.2). */
export interface TreeConsistency {
  readonly fromTreeSize: number
  readonly toTreeSize: number
  readonly hashes: readonly Buffer[]
}

/**
 * The consistency proof between any two sizes a workspace's tree has had, 0 included; null where the workspace is not
 * the caller's. Two statements whatever the sizes, O(log n) rows. Throws UNAUTHENTICATED, BAD_USER_INPUT (a size the tree
 * has not reached, or the first larger than the second), REGION_UNAVAILABLE.
 */
export async function getConsistencyProof(
  deps: EventReads,
  viewer: Viewer,
  input: { readonly workspaceId: string; readonly fromTreeSize: number; readonly toTreeSize: number },
): Promise<TreeConsistency | null> {
  const { fromTreeSize, toTreeSize } = input
  const workspace = await findReachableWorkspace(deps, viewer, 'consistencyProof', input.workspaceId)
  if (workspace === null) return null
  if (fromTreeSize < 0) throw badInput('fromTreeSize', 'must not be negative.')
  if (toTreeSize < fromTreeSize) throw badInput('toTreeSize', 'must not be smaller than fromTreeSize.')
  const { id, dataRegion, companyId } = workspace
  const deadline = deadlineAfter(deps.regionDeadlineMs)
  const answer = await deps.gateway.read(dataRegion, [companyId], deadline, async (tx) => {
    const reached = await findTreeSize(tx, id)
    if (toTreeSize > reached) throw badInput('toTreeSize', `must be at most ${reached}, the size of the tree now.`)
    const hashes = await consistencyProof(fromTreeSize, toTreeSize, treeNodeReader(tx, id))
    return { fromTreeSize, toTreeSize, hashes }
  })
  return valueOf(answer)
}
