import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Database } from '../db/database.js'
import { orControlUnavailable } from '../directory/with-control.js'
import type { Region } from '../kernel/region.js'
import { checkRegion } from '../regions/check-region.js'
import type { RegionGateway } from '../regions/region-gateway.js'
import type { RegionHealth } from '../regions/region-health.js'
import type { RegionModes } from '../regions/region-modes.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { type PendingFigures, readPendingFigures } from './pending-write.store.js'

/** How a region is, and what waits for it. */
export interface RegionStatus {
  readonly region: Region
  readonly state: 'HEALTHY' | 'UNHEALTHY' | 'FAILED_OVER'
  readonly healthy: boolean
  /** Of the last health check; null where it did not answer. */
  readonly latencyMs: number | null
  readonly checkedAt: Date | null
  /** A fixed word where it is not HEALTHY. */
  readonly reason: string | null
  readonly pendingWrites: number
  readonly deadLetters: number
  /** Events that replicas don't have yet. */
  readonly replicationBacklog: number
  readonly oldestPendingWriteAt: Date | null
}

export interface RegionStatusDeps {
  readonly control: Database
  readonly registry: RegionRegistry
  readonly health: Pick<RegionHealth, 'of'>
  readonly gateway: Pick<RegionGateway, 'isBroken'>
  readonly modes: RegionModes
  /** Events of a region that its replicas don't have yet; left out, there are no replicas. */
  readonly replicationBacklogOf?: (region: Region) => Promise<number>
}

/** Every configured region. Staff only: UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, REGION_UNAVAILABLE (CONTROL). */
export async function listRegionHealth(deps: RegionStatusDeps, viewer: Viewer): Promise<RegionStatus[]> {
  admitSession(viewer, 'regionHealth')
  return readRegionStatuses(deps)
}

/** Every configured region, in the order of the kernel. Takes a second or two at most. REGION_UNAVAILABLE (CONTROL). */
export async function readRegionStatuses(deps: RegionStatusDeps): Promise<RegionStatus[]> {
  const figures = await orControlUnavailable(() => readPendingFigures(deps.control))
  const byRegion = new Map(figures.map((one) => [one.region, one]))
  return Promise.all(deps.registry.list().map(({ region }) => statusOf(deps, byRegion.get(region)!)))
}

/** One region. REGION_UNAVAILABLE where it is not configured, or the control database does not answer. */
export async function readRegionStatus(deps: RegionStatusDeps, region: Region): Promise<RegionStatus> {
  deps.registry.get(region)
  const figures = await orControlUnavailable(() => readPendingFigures(deps.control))
  return statusOf(
    deps,
    figures.find((one) => one.region === region)!,
  )
}

async function statusOf(deps: RegionStatusDeps, figures: PendingFigures): Promise<RegionStatus> {
  const { region } = figures
  const [condition, replicationBacklog] = await Promise.all([
    conditionOf(deps, region),
    deps.replicationBacklogOf?.(region) ?? 0,
  ])
  return { ...condition, ...figures, replicationBacklog, healthy: condition.state === 'HEALTHY' }
}

type Condition = Pick<RegionStatus, 'state' | 'latencyMs' | 'checkedAt' | 'reason'>

async function conditionOf({ registry, health, gateway, modes }: RegionStatusDeps, region: Region): Promise<Condition> {
  const known = health.of(region)
  const latencyMs = known?.latencyMs ?? null
  const checkedAt = known?.checkedAt ?? null
  if (modes.isFailedOver(region)) return { state: 'FAILED_OVER', latencyMs, checkedAt, reason: 'failed_over' }
  // What this process has just met with is newer than any check.
  if (gateway.isBroken(region))
    return { state: 'UNHEALTHY', latencyMs: null, checkedAt, reason: known?.reason ?? 'unreachable' }
  if (known !== undefined) return { state: known.state, latencyMs, checkedAt, reason: known.reason }
  const check = await checkRegion(registry, region)
  const state = check.answers && check.writable ? 'HEALTHY' : 'UNHEALTHY'
  return { state, latencyMs: check.latencyMs, checkedAt: null, reason: check.reason }
}
