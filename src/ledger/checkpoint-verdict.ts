import { type Checkpoint, parseCheckpoint, parseOrigin } from './checkpoint.js'
import { type Latin1, toHex } from './crypto.js'
import type { RecentRoots } from './recent-roots.js'
import type { RunProofs } from './run-proofs.js'
import type { NoteKey } from './signed-note.js'
import { type AnnouncedKey, checkSigner, type Trust } from './trust.js'
import type { ChainBreak, Outcome, VerifiedCheckpoint, Warnings } from './verdict.js'

/** A checkpoint verified earlier: what the log must never contradict. */
export interface KeptCheckpoint {
  readonly treeSize: number
  readonly rootHash: Latin1
}

/** What the events came to, for a checkpoint to be held against. */
export interface CheckpointContext {
  readonly trust: Trust
  readonly workspaceId: string | null
  readonly carried: readonly NoteKey[]
  readonly announced: readonly AnnouncedKey[]
  readonly homeAt: (treeSize: number) => string | null
  readonly lastSequence: number
  /** In the order of sizes. */
  readonly earlier: readonly KeptCheckpoint[]
  /** The first size at which the events contradict an earlier checkpoint. */
  readonly fork: number | null
  /** Of a whole chain. */
  readonly tree: RecentRoots | null
  /** Of a part. */
  readonly proofs: RunProofs | null
  readonly warnings: Warnings
}

export interface CheckpointJudgement {
  readonly fault: ChainBreak | null
  /** What the break makes of the whole, where its reason alone doesn't say. */
  readonly outcome: Outcome | null
  readonly checkpoint: VerifiedCheckpoint | null
}

const broken = (sequence: number, detail: string, outcome: Outcome = 'INVALID'): CheckpointJudgement => ({
  fault: { sequence, eventId: null, reason: 'CHECKPOINT_MISMATCH', detail },
  outcome,
  checkpoint: null,
})

const tooFew = (lastSequence: number, size: number): CheckpointJudgement => ({
  fault: {
    sequence: lastSequence + 1,
    eventId: null,
    reason: 'HEAD_MISMATCH',
    detail: `there are ${lastSequence} events, and a checkpoint of ${size}`,
  },
  outcome: 'INCOMPLETE',
  checkpoint: null,
})

/** Holds the events against the newest checkpoint (null: there is none yet), and that against those kept from earlier. */
export function judgeCheckpoint(note: string | null, context: CheckpointContext): CheckpointJudgement {
  const largest = context.earlier.at(-1)
  if (note === null) {
    if (largest !== undefined && context.tree !== null && largest.treeSize > context.lastSequence)
      return tooFew(context.lastSequence, largest.treeSize)
    if (context.fork !== null) return forked(context.fork)
    return { fault: null, outcome: null, checkpoint: null }
  }
  const checkpoint = parseCheckpoint(note)
  if (checkpoint === null) return broken(context.lastSequence, 'the checkpoint is not a signed note of three lines')
  const { treeSize, origin, rootHash } = checkpoint
  if (context.tree !== null && context.lastSequence < treeSize) return tooFew(context.lastSequence, treeSize)
  if (context.workspaceId !== null && parseOrigin(origin)?.workspaceId !== context.workspaceId)
    return broken(treeSize, 'the checkpoint is one of another workspace')
  const rootFault = compareRoot(checkpoint, context)
  if (rootFault !== null) return rootFault
  const signer = checkSigner(
    checkpoint,
    context.trust,
    { home: context.homeAt(treeSize), announced: context.announced },
    context.carried,
  )
  if (signer.fault !== null) return broken(treeSize, signer.fault)
  if (!signer.pinned) context.warnings.add('SIGNER_NOT_PINNED', null)
  const earlierFault = compareEarlier(checkpoint, context)
  if (earlierFault !== null) return earlierFault
  const { signedBy, pinned } = signer
  return {
    fault: null,
    outcome: null,
    checkpoint: { origin, treeSize, rootHash: toHex(rootHash), signedBy, signerPinned: pinned },
  }
}

function compareRoot({ treeSize, rootHash }: Checkpoint, context: CheckpointContext): CheckpointJudgement | null {
  if (context.proofs !== null) {
    const outside = context.proofs.firstOutside(treeSize, rootHash)
    return outside === null ? null : broken(outside, 'the proof of the event does not lead to the checkpoint')
  }
  const root = context.tree!.rootAt(treeSize)
  if (root === null) return broken(treeSize, 'the checkpoint lies too far behind the events to be compared')
  return root === rootHash ? null : broken(treeSize, 'the events have another root at the size of the checkpoint')
}

function compareEarlier(checkpoint: Checkpoint, context: CheckpointContext): CheckpointJudgement | null {
  const { earlier, fork, tree, warnings } = context
  const largest = earlier.at(-1)
  const same = earlier.find(({ treeSize }) => treeSize === checkpoint.treeSize)
  if (same !== undefined && same.rootHash !== checkpoint.rootHash) return forked(same.treeSize)
  if (fork !== null) return forked(fork)
  if (largest !== undefined && largest.treeSize > checkpoint.treeSize)
    return broken(checkpoint.treeSize, `a checkpoint of ${largest.treeSize} events was seen before`, 'INCOMPLETE')
  if (tree === null)
    for (const { treeSize } of earlier)
      if (treeSize < checkpoint.treeSize) warnings.add('EARLIER_CHECKPOINT_NOT_COMPARED', treeSize)
  return null
}

const forked = (treeSize: number): CheckpointJudgement =>
  broken(treeSize, 'an earlier checkpoint of this size has another root: the log has two histories', 'FORK')
