import { type AdminActor, systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { deadlineAfter } from '../kernel/deadline.js'
import { badInput } from '../kernel/domain-error.js'
import { newUuid } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { RegionMode } from '../regions/region-mode.js'
import { closeHome, lockMode, readMode, setFailedOver } from '../regions/region-mode.store.js'
import type { RegionModes } from '../regions/region-modes.js'
import { findRegionsToFailOver } from './failover.store.js'
import { readRegionStatus, type RegionStatus, type RegionStatusDeps } from './region-status.js'

const REASON_CHARACTERS_MAX = 500
/** How long the answer waits for all processes to have heard. */
const SETTLE_MS_MAX = 2_000
/** A region that was down in so many checks in a row fails over, where that is wanted. */
export const CHECKS_FAILED_MIN = 3

export interface FailoverDeps extends RegionStatusDeps {
  readonly control: Database
  readonly modes: RegionModes
  readonly clock: Clock
}

/**
 * Sends a region's writes to the queue and asks it nothing any more, until {@link endFailover}. Of a region that is failed
 * over already nothing changes. Written in the admin log. Staff only. UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED,
 * BAD_USER_INPUT (reason), REGION_UNAVAILABLE (not configured, or CONTROL).
 */
export async function triggerFailover(
  deps: FailoverDeps,
  viewer: Viewer,
  input: { readonly region: Region; readonly reason: string },
): Promise<RegionStatus> {
  const { user } = admitSession(viewer, 'triggerFailover')
  const { region } = input
  deps.registry.get(region)
  await failOver(deps, region, validReason(input.reason), { kind: 'user', userId: user.id })
  await deps.modes.settled(region, deadlineAfter(SETTLE_MS_MAX))
  return readRegionStatus(deps, region)
}

/**
 * Lets a region be asked again: what waits for it is brought home, then its writes go home. Of a region that is not failed
 * over nothing changes. Errors as for {@link triggerFailover}.
 */
export async function endFailover(
  deps: FailoverDeps,
  viewer: Viewer,
  input: { readonly region: Region; readonly reason: string },
): Promise<RegionStatus> {
  const { user } = admitSession(viewer, 'endFailover')
  const { region } = input
  deps.registry.get(region)
  const reason = validReason(input.reason)
  await change(deps, region, { kind: 'user', userId: user.id }, 'region.failover_ended', reason, async (tx) => {
    await lockMode(tx, region)
    const before = await readMode(tx, region)
    return before.failedOverAt === null
      ? { before, after: before }
      : { before, after: await setFailedOver(tx, region, null) }
  })
  return readRegionStatus(deps, region)
}

/** Fails over the regions that were down in the last checks, where they are not. Answers how many. */
export async function failOverRegionsDown(deps: FailoverChange): Promise<number> {
  const regions = await findRegionsToFailOver(deps.control, CHECKS_FAILED_MIN)
  for (const region of regions)
    await failOver(deps, region, `It was down in ${CHECKS_FAILED_MIN} health checks in a row.`, systemActor)
  return regions.length
}

type FailoverChange = Pick<FailoverDeps, 'control' | 'modes' | 'clock'>
type Transaction = Parameters<typeof readMode>[0] & Parameters<typeof closeHome>[0]

const failOver = (deps: FailoverChange, region: Region, reason: string, actor: AdminActor): Promise<void> =>
  change(deps, region, actor, 'region.failed_over', reason, async (tx) => {
    const before = await closeHome(tx, region, newUuid())
    if (before.failedOverAt !== null) return { before, after: before }
    return { before, after: await setFailedOver(tx, region, { at: deps.clock.now(), reason }) }
  })

async function change(
  deps: FailoverChange,
  region: Region,
  actor: AdminActor,
  action: string,
  reason: string,
  work: (tx: Transaction) => Promise<{ before: RegionMode; after: RegionMode }>,
): Promise<void> {
  const mode = await changeControl(deps, async ({ tx, log }) => {
    const { before, after } = await work(tx)
    if (after !== before)
      log({
        companyId: null,
        actor,
        action,
        category: 'region',
        target: { type: 'region', id: region },
        payload: { reason },
      })
    return after
  })
  deps.modes.learn(mode)
  // To acknowledge it.
  deps.modes.reset()
}

function validReason(text: string): string {
  const reason = text.trim()
  if (reason.length < 1 || reason.length > REASON_CHARACTERS_MAX)
    throw badInput('input.reason', `must have 1 to ${REASON_CHARACTERS_MAX} characters.`)
  if (reason.includes('@'))
    throw badInput('input.reason', 'is kept for ever and must not name anybody: leave out addresses.')
  return reason
}
