import type { Viewer } from '../auth/viewer.js'
import { DatabaseError } from '../db/database-error.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { badInput, DomainError, regionUnavailable } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { getWorkspace } from '../workspaces/get-workspace.js'
import type { ChainAlarms } from './chain-alarms.js'
import { interactive } from './pace.js'
import type { StretchVerdict } from './stretch-verifier.js'
import type { VerificationKeys } from './verification-keys.js'
import type { VerificationSlots } from './verification-slots.js'
import { type VerificationDeps, verifyStretch } from './verify-stretch.js'

/** How long one verification may take, waiting for its turn included. Enough for some millions of events. */
export const VERIFICATION_TIMEOUT_MS = 240_000

export interface VerifyChainDeps extends VerificationDeps {
  readonly facts: ControlFacts
  readonly alarms: ChainAlarms
  readonly subjectKeys: VerificationKeys
  readonly slots: VerificationSlots
  readonly timeoutMs?: number
}

export interface ChainVerification extends StretchVerdict {
  readonly region: Region
  readonly fromSequence: number
}

/**
 * Recomputes a stretch of a workspace's chain from stored data; null where the workspace is not the caller's. The stretch
 * is the whole chain where no end of it is given. Throws UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT (no workspace id, no
 * stretch, or one beyond the chain), RATE_LIMITED, DEADLINE_EXCEEDED (with how far it got), REGION_UNAVAILABLE: where the
 * region does not answer, or nothing outside of it that could tell whether it was set back.
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
  const { dataRegion, companyId } = workspace
  const late = AbortSignal.timeout(deps.timeoutMs ?? VERIFICATION_TIMEOUT_MS)
  const signal = AbortSignal.any([clientGone, late])
  let verified = 0
  const onProgress = (events: number): void => void (verified = events)
  try {
    const verdict = await deps.slots.run(companyId, signal, () =>
      verifyStretch(deps, workspace, { from, to }, { rhythm: interactive, signal, onProgress }),
    )
    if (verdict.firstBreak !== null) deps.alarms.raise(workspace, verdict.firstBreak)
    else requireOutsider(verdict)
    return { ...verdict, region: dataRegion, fromSequence: from }
  } catch (error) {
    if (error instanceof DomainError) throw error
    if (late.aborted)
      throw new DomainError(
        'DEADLINE_EXCEEDED',
        `Verifying took too long; ${verified} events were whole until then: verify a shorter stretch at a time.`,
      )
    if (error instanceof DatabaseError && error.unavailable) throw regionUnavailable(dataRegion, error)
    throw error
  }
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
