import { basename } from 'node:path'
import { findReach } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { Database } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import { DeadlineExceeded, within } from '../kernel/deadline.js'
import { decodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { RegionGateway } from '../regions/region-gateway.js'
import type { RegionHealth } from '../regions/region-health.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { readReplicaLags, type ReplicaLag } from '../regions/replica-state.store.js'

/** One region of a company, and how it is. */
export interface RegionProbe {
  readonly region: Region
  readonly healthy: boolean
  /** Null where it did not answer. */
  readonly latencyMs: number | null
  /** Null where the region is not configured. */
  readonly coldStorage: { readonly provider: 'LOCAL' | 'AWS' | 'AZURE' | 'GCP'; readonly bucket: string } | null
}

/** A region of a company, and, of one that keeps replicas, how they are; null where nobody knows. */
export interface CompanyRegion extends RegionProbe {
  readonly replicationLagEvents: number | null
  readonly replicationLagSeconds: number | null
  readonly stoppedReplicas: number | null
}

const probeTimeoutMs = 1000

export interface CompanyRegionsDeps {
  readonly control: Database
  readonly registry: RegionRegistry
  readonly facts: ControlFacts
  readonly health: Pick<RegionHealth, 'of'>
  readonly gateway: Pick<RegionGateway, 'isBroken'>
}

/**
 * The regions of the caller's company, as the last health check found them, or as they are when asked where there was
 * none of late; null where `companyId` names another company. Takes
 * a second at most. Throws UNAUTHENTICATED, BAD_USER_INPUT (not a company id).
 */
export async function getCompanyRegions(
  deps: CompanyRegionsDeps,
  viewer: Viewer,
  companyId: string | null,
): Promise<{ primary: CompanyRegion; replicas: CompanyRegion[] } | null> {
  const uuid = companyId === null ? null : decodeId('company', companyId, 'companyId')
  const reach = await findReach(deps, viewer, 'companyRegions', uuid)
  if (reach === null) return null
  const { company } = reach
  const [[primary, ...replicas], lags] = await Promise.all([
    Promise.all([company.dataRegion, ...company.replicateTo].map((region) => lookAt(deps, region))),
    company.replicateTo.length === 0 ? [] : lagsOrNull(deps, company.id),
  ])
  return {
    primary: { ...primary!, ...unknownLag },
    replicas: replicas.map((probe) => ({ ...probe, ...totalLag(lags, probe.region) })),
  }
}

const unknownLag = { replicationLagEvents: null, replicationLagSeconds: null, stoppedReplicas: null }

async function lagsOrNull({ control }: CompanyRegionsDeps, companyId: string): Promise<readonly ReplicaLag[] | null> {
  try {
    return await readReplicaLags(control, companyId)
  } catch (error) {
    if (error instanceof DatabaseError && error.unavailable) return null
    throw error
  }
}

/** What the replicas in one region come to, whichever regions their homes are. */
function totalLag(lags: readonly ReplicaLag[] | null, region: Region): Omit<CompanyRegion, keyof RegionProbe> {
  if (lags === null) return unknownLag
  const own = lags.filter(({ replica }) => replica === region)
  const seconds = own.map((lag) => lag.seconds)
  return {
    replicationLagEvents: own.reduce((sum, lag) => sum + lag.events, 0),
    replicationLagSeconds: seconds.reduce((max, one) => (max === null || one === null ? null : Math.max(max, one)), 0),
    stoppedReplicas: own.reduce((sum, lag) => sum + lag.stopped, 0),
  }
}

function lookAt({ registry, health, gateway }: CompanyRegionsDeps, region: Region): Promise<RegionProbe> {
  const coldStorage = shownColdStorage(registry, region)
  const known = health.of(region)
  // What this process has just met with is newer than any check.
  if (coldStorage === null || gateway.isBroken(region))
    return Promise.resolve({ region, healthy: false, latencyMs: null, coldStorage })
  if (known === undefined) return probeRegion(registry, region, coldStorage)
  const { latencyMs } = known
  return Promise.resolve({ region, healthy: known.state === 'HEALTHY', latencyMs, coldStorage })
}

/** A folder of the server is shown by its last name: where it lies is nobody's but the operator's business. */
function shownColdStorage(registry: RegionRegistry, region: Region): RegionProbe['coldStorage'] {
  const coldStorage = registry.find(region)?.coldStorage ?? null
  return coldStorage?.provider === 'LOCAL' ? { ...coldStorage, bucket: basename(coldStorage.bucket) } : coldStorage
}

async function probeRegion(
  registry: RegionRegistry,
  region: Region,
  coldStorage: RegionProbe['coldStorage'],
): Promise<RegionProbe> {
  const startedMs = performance.now()
  try {
    await within(
      probeTimeoutMs,
      registry.use(region, ({ database }) => database.query('select 1', [], { timeoutMs: probeTimeoutMs })),
    )
    return { region, healthy: true, latencyMs: Math.round((performance.now() - startedMs) * 100) / 100, coldStorage }
  } catch (error) {
    if (error instanceof DatabaseError || error instanceof DeadlineExceeded)
      return { region, healthy: false, latencyMs: null, coldStorage }
    throw error
  }
}
