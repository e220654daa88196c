import type { Viewer } from '../auth/viewer.js'
import type { Transaction } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { WorkspaceFacts } from '../directory/facts.js'
import { deadlineAfter } from '../kernel/deadline.js'
import { badInput, DomainError, regionUnavailable } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { type RegionGateway, valueOf } from '../regions/region-gateway.js'
import { getWorkspace } from '../workspaces/get-workspace.js'
import type { ChainAlarms } from './chain-alarms.js'
import { interactive } from './pace.js'
import type { StretchVerdict } from './stretch-verifier.js'
import type { VerificationKeys } from './verification-keys.js'
import type { VerificationSlots } from './verification-slots.js'
import { type StretchOptions, type VerificationDeps, verifyStretch } from './verify-stretch.js'

/** How long one verification may take, waiting for its turn included. Enough for some millions of events. */
export const VERIFICATION_TIMEOUT_MS = 240_000
/** How long a region may take to answer at all. */
const ANSWER_MS_MAX = 3_000

export interface VerifyChainDeps extends VerificationDeps {
  readonly facts: ControlFacts
  readonly alarms: ChainAlarms
  readonly subjectKeys: VerificationKeys
  readonly slots: VerificationSlots
  readonly timeoutMs?: number
  /** Finds out who answers for a region. */
  readonly gateway: Pick<RegionGateway, 'read'>
}

export interface ChainVerification extends StretchVerdict {
  readonly region: Region
  /** Whose database was verified: another one where the home did not answer, and then only what its replica has. */
  readonly servedBy: Region
  readonly fromSequence: number
}

/**
 * Recomputes a stretch of a workspace's chain from stored data; null where the workspace is not the caller's. The stretch
 * is the whole chain where no end of it is given. Throws UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT (no workspace id, no
 * stretch, or one beyond the chain), RATE_LIMITED, DEADLINE_EXCEEDED (with how far it got), REGION_UNAVAILABLE: where
 * neither the region nor a replica answers, or nothing outside of it that could tell whether it was set back.
 */
export async function verifyChain(
  deps: VerifyChainDeps,
  viewer: Viewer,
  input: {
    readonly workspaceId: string
    readonly fromSequence: number | null
    readonly toSequence: number | null
  },
  clientGone: AbortSignal,
): Promise<ChainVerification | null> {
  const workspace = await getWorkspace(deps, viewer, input.workspaceId, 'verifyChain', 'workspaceId')
  if (workspace === null) return null
  const from = input.fromSequence ?? 1
  const to = input.toSequence
  if (from < 1) throw badInput('fromSequence', 'must be at least 1.')
  if (to !== null && to < from) throw badInput('toSequence', 'must not be before fromSequence.')
  const { companyId } = workspace
  const late = AbortSignal.timeout(deps.timeoutMs ?? VERIFICATION_TIMEOUT_MS)
  const signal = AbortSignal.any([clientGone, late])
  let verified = 0
  const onProgress = (events: number): void => void (verified = events)
  const options = { rhythm: interactive, signal, onProgress }
  try {
    return await deps.slots.run(companyId, signal, () => verifyWherePossible(deps, workspace, { from, to }, options))
  } catch (error) {
    if (error instanceof DomainError) throw error
    if (late.aborted)
      throw new DomainError(
        'DEADLINE_EXCEEDED',
        `Verifying took too long; ${verified} events were whole until then: verify a shorter stretch at a time.`,
      )
    if (error instanceof DatabaseError && error.unavailable) throw regionUnavailable(workspace.dataRegion, error)
    throw error
  }
}

interface WantedStretch {
  readonly from: number
  readonly to: number | null
}

/** At home, or, where that does not answer, what the replica has that stands in for it. */
async function verifyWherePossible(
  deps: VerifyChainDeps,
  workspace: WorkspaceFacts,
  stretch: WantedStretch,
  options: StretchOptions,
): Promise<ChainVerification> {
  const { id, companyId, dataRegion } = workspace
  // Verifying waits long for a region; who answers at all is known soon.
  const answer = await deps.gateway.read(
    dataRegion,
    [companyId],
    deadlineAfter(ANSWER_MS_MAX),
    (tx, _, by) => isThere(tx, workspace, by),
    [id],
  )
  const { servedBy } = answer
  if (servedBy === null || servedBy === dataRegion) {
    valueOf(answer)
    const verdict = await verifyStretch(deps, workspace, stretch, options)
    if (verdict.firstBreak !== null) deps.alarms.raise(workspace, verdict.firstBreak)
    else requireOutsider(verdict)
    return { ...verdict, region: dataRegion, servedBy: dataRegion, fromSequence: stretch.from }
  }
  const verdict = await verifyStretch(deps, { id, companyId, dataRegion, copyIn: servedBy }, stretch, options).catch(
    (error: unknown) => {
      // What is beyond the replica need not be beyond the chain.
      if (error instanceof DomainError && error.code === 'BAD_USER_INPUT') throw regionUnavailable(dataRegion, error)
      throw error
    },
  )
  if (verdict.firstBreak !== null) deps.alarms.raise({ id, dataRegion: servedBy }, verdict.firstBreak)
  return { ...verdict, region: dataRegion, servedBy, fromSequence: stretch.from }
}

/** What tells that there is a chain to verify. A replica of which archives have taken events is no whole one. */
async function isThere(tx: Transaction, { id, dataRegion }: WorkspaceFacts, servedBy: Region): Promise<void> {
  const isReplica = servedBy !== dataRegion
  const [dropped] = isReplica
    ? await tx.query('select from chain_head where workspace_id = $1 and dropped_sequence > 0', [id], 'verify_dropped')
    : await tx.query('select from chain_head where false', [], 'verify_answers')
  if (dropped !== undefined) throw regionUnavailable(dataRegion)
}

/** A chain can't be called whole where nobody outside its region could be asked how long it was. */
function requireOutsider({ reachedHead, unreachable, copies }: StretchVerdict): void {
  if (!reachedHead || unreachable.length === 0 || copies > 0) return
  throw new DomainError(
    'REGION_UNAVAILABLE',
    'What is stored verifies, but the checkpoints that are kept outside the region can not be read now.',
    { details: { regions: unreachable } },
  )
}
