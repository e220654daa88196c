import { type AdminActor, systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database, Transaction } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { deadlineAfter } from '../kernel/deadline.js'
import { newUuid } from '../kernel/ids.js'
import { validKeptReason } from '../kernel/plain-text.js'
import type { Region } from '../kernel/region.js'
import type { RegionMode } from '../regions/region-mode.js'
import { closeHome, lockMode, readMode, setFailedOver } from '../regions/region-mode.store.js'
import type { RegionModes } from '../regions/region-modes.js'
import { findRegionsToFailOver } from './failover.store.js'
import { readRegionStatus, type RegionStatus, type RegionStatusDeps } from './region-status.js'

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
  act(deps, await failOver(deps, { region, reason: input.reason, actor: { kind: 'user', userId: user.id } }))
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
  act(deps, await recoverRegion(deps, { region, reason: input.reason, actor: { kind: 'user', userId: user.id } }))
  return readRegionStatus(deps, region)
}

/** Fails over the regions that were down in the last checks, where they are not. Answers how many. */
export async function failOverRegionsDown(deps: ControlDeps & Pick<FailoverDeps, 'modes'>): Promise<number> {
  const regions = await findRegionsToFailOver(deps.control, CHECKS_FAILED_MIN)
  const reason = `It was down in ${CHECKS_FAILED_MIN} health checks in a row.`
  for (const region of regions) act(deps, await failOver(deps, { region, reason, actor: systemActor }))
  return regions.length
}

type ControlDeps = Pick<FailoverDeps, 'control' | 'clock'>

/** Who wants what of a region, and why. */
export interface FailoverChange {
  readonly region: Region
  readonly reason: string
  readonly actor: AdminActor
}

/** Fails a region over, in the control database alone: running processes hear of it. BAD_USER_INPUT, REGION_UNAVAILABLE. */
export const failOver = (deps: ControlDeps, wanted: FailoverChange): Promise<RegionMode> =>
  change(deps, wanted, 'region.failed_over', async (tx, reason) => {
    const before = await closeHome(tx, wanted.region, newUuid())
    if (before.failedOverAt !== null) return { before, after: before }
    return { before, after: await setFailedOver(tx, wanted.region, { at: deps.clock.now(), reason }) }
  })

/** Ends a region's failover, likewise. */
export const recoverRegion = (deps: ControlDeps, wanted: FailoverChange): Promise<RegionMode> =>
  change(deps, wanted, 'region.failover_ended', async (tx) => {
    await lockMode(tx, wanted.region)
    const before = await readMode(tx, wanted.region)
    return { before, after: before.failedOverAt === null ? before : await setFailedOver(tx, wanted.region, null) }
  })

async function change(
  deps: ControlDeps,
  { region, reason: given, actor }: FailoverChange,
  action: string,
  work: (tx: Transaction, reason: string) => Promise<{ before: RegionMode; after: RegionMode }>,
): Promise<RegionMode> {
  const reason = validKeptReason(given, 'input.reason')
  return changeControl(deps, async ({ tx, log }) => {
    const { before, after } = await work(tx, reason)
    const target = { type: 'region', id: region }
    if (after !== before) log({ companyId: null, actor, action, category: 'region', target, payload: { reason } })
    return after
  })
}

function act({ modes }: Pick<FailoverDeps, 'modes'>, mode: RegionMode): void {
  modes.learn(mode)
  // To acknowledge it.
  modes.reset()
}
