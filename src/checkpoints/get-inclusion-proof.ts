import { admitSomebody } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Transaction } from '../db/database.js'
import type { AuditEvent } from '../events/audit-event.js'
import type { EventReads } from '../events/event-reads.js'
import { locateEvent } from '../events/get-event.js'
import { deadlineAfter } from '../kernel/deadline.js'
import { badInput } from '../kernel/domain-error.js'
import { inclusionProof } from '../ledger/proof.js'
import { valueOf } from '../regions/region-gateway.js'
import { findCheckpoint, findTreeSize } from './checkpoint.store.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'
import { treeNodeReader } from './tree-node.store.js'

/** That an event is leaf `leafIndex` of its workspace's tree when that had `treeSize` leaves (RFC 6962, 2.1.1). */
export interface EventInclusion {
  readonly leafIndex: number
  readonly treeSize: number
  readonly leafHash: Buffer
  /** Nearest sibling first. */
  readonly hashes: readonly Buffer[]
  /** The newest; null where it doesn't cover `treeSize` yet, or there is none. */
  readonly checkpoint: SignedCheckpoint | null
}

/**
 * The inclusion proof of an event, for any size its tree has had since; by default that of the newest checkpoint, or,
 * for an event no checkpoint covers yet, the present one. Null where the caller gets no such event. Four statements
 * whatever the size, O(log n) rows. Throws UNAUTHENTICATED, BAD_USER_INPUT, REGION_UNAVAILABLE.
 */
export async function getInclusionProof(
  deps: EventReads,
  viewer: Viewer,
  input: { readonly eventId: string; readonly treeSize: number | null },
): Promise<EventInclusion | null> {
  admitSomebody(viewer, 'inclusionProof')
  const event = await locateEvent(deps, viewer, input.eventId, 'eventId')
  if (event === null) return null
  const deadline = deadlineAfter(deps.regionDeadlineMs)
  return valueOf(
    await deps.gateway.read(event.region, [event.companyId], deadline, (tx) => proveLeaf(tx, event, input.treeSize)),
  )
}

async function proveLeaf(
  tx: Transaction,
  { workspaceId, sequence, hash: leafHash }: AuditEvent,
  wantedSize: number | null,
): Promise<EventInclusion> {
  const [reached, newest] = await Promise.all([findTreeSize(tx, workspaceId), findCheckpoint(tx, workspaceId)])
  const covered = newest !== null && newest.treeSize >= sequence && newest.treeSize <= reached
  const treeSize = wantedSize ?? (covered ? newest.treeSize : reached)
  if (treeSize < sequence || treeSize > reached)
    throw badInput(
      'treeSize',
      `must be a size from ${sequence}, with which the event is in the tree, to ${reached}, its size now.`,
    )
  const hashes = await inclusionProof(sequence - 1, treeSize, treeNodeReader(tx, workspaceId))
  const checkpoint = newest !== null && newest.treeSize >= treeSize ? newest : null
  return { leafIndex: sequence - 1, treeSize, leafHash, hashes, checkpoint }
}
