import { Database } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import type { Log } from '../db/log.js'
import { migrate, roleOf } from '../db/migrate.js'
import { NotificationListener } from '../db/notification-listener.js'
import { checkServiceRole } from '../db/service-role.js'
import { DomainError } from '../kernel/domain-error.js'
import { regions, type Region } from '../kernel/region.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import { sameSettings, type ColdStorage, type RegionSettings } from './region-data-store.js'
import { loadRegionSettings } from './region-data-store.store.js'

export interface RegionHandle {
  readonly region: Region
  readonly database: Database
  readonly coldStorage: ColdStorage
}

export interface RegionRegistryOptions {
  readonly control: Database
  /** For LISTEN, which wants a session of its own. */
  readonly controlUrl: string
  readonly secrets: ControlSecrets
  readonly log: Log
  readonly poolMax?: number
  /** How often the table is read although nobody announced a change. */
  readonly pollMs?: number
  /** How often a region that could not be prepared is tried again. */
  readonly retryMs?: number
}

/** A role that must not serve, found while starting: the process should not go on. */
export interface RegionProblem {
  readonly region: Region
  readonly problem: string
}

const channel = 'hyrelog_facts'
const pollMsDefault = 10_000
const retryMsDefault = 1_000
const closeTimeoutMs = 30_000

/** One set of settings in use, and how many are using it. */
interface Lease {
  readonly handle: RegionHandle
  readonly settings: RegionSettings
  /** Its tables are up to date and its role is fit to serve. Until then nothing is sent to the primary. */
  prepared: boolean
  uses: number
  retired: boolean
}

/**
 * The regions of the control table `region_data_store`, each with an open {@link Database}. A row that is added or
 * changed is in use within seconds: the change is announced by NOTIFY, and the table is read every ten seconds besides.
 * A replaced database is closed when nobody uses it any more.
 */
export class RegionRegistry {
  readonly #options: RegionRegistryOptions
  readonly #leases = new Map<Region, Lease>()
  readonly #refused = new Map<Region, RegionSettings>()
  readonly #closing = new Set<Promise<void>>()
  readonly #listener: NotificationListener
  readonly #problems: RegionProblem[] = []
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #reloading: Promise<void> | undefined
  #reloadAgain = false

  private constructor(options: RegionRegistryOptions) {
    this.#options = options
    this.#listener = new NotificationListener(options.controlUrl, [channel], {
      onNotification: (_, payload) => {
        if (concernsRegions(payload)) this.#requestReload()
      },
      onReset: () => this.#requestReload(),
    })
  }

  /**
   * Reads the table, prepares every region that answers (migrations, check of the role) and begins to listen. A region
   * that doesn't answer is prepared when it comes back; the others don't wait for it. Throws where the control database
   * can't be read or was sealed with another key; what is wrong with roles is in {@link problems}.
   */
  static async open(options: RegionRegistryOptions): Promise<RegionRegistry> {
    const registry = new RegionRegistry(options)
    await registry.#reload()
    registry.#listener.start()
    registry.#schedule()
    return registry
  }

  /** Regions whose settings were refused so far, with the reason. */
  get problems(): readonly RegionProblem[] {
    return this.#problems
  }

  /** Configured regions in the order of the kernel. */
  list(): readonly RegionHandle[] {
    return regions.flatMap((region) => this.find(region) ?? [])
  }

  find(region: Region): RegionHandle | undefined {
    return this.#leases.get(region)?.handle
  }

  /** `REGION_UNAVAILABLE` where the region is not configured. */
  get(region: Region): RegionHandle {
    return this.#leaseOf(region).handle
  }

  /**
   * Runs work against a region's database, counted, so that a replaced Database closes only when idle.
   * `REGION_UNAVAILABLE` where the region is not configured.
   */
  async use<T>(region: Region, work: (handle: RegionHandle) => Promise<T>): Promise<T> {
    const lease = this.#leaseOf(region)
    lease.uses++
    try {
      return await work(lease.handle)
    } finally {
      lease.uses--
      if (lease.retired && lease.uses === 0) this.#end(lease)
    }
  }

  /** Stops listening and closes every database, waiting for what runs at most `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#listener.stop()
    await this.#reloading
    const leases = [...this.#leases.values()]
    this.#leases.clear()
    await Promise.all([...leases.map((lease) => lease.handle.database.close(timeoutMs)), ...this.#closing])
  }

  #leaseOf(region: Region): Lease {
    const lease = this.#leases.get(region)
    if (lease === undefined)
      throw new DomainError('REGION_UNAVAILABLE', `Region ${region} is not configured.`, {
        details: { regions: [region] },
      })
    return lease
  }

  #schedule(): void {
    if (this.#closed) return
    const { pollMs = pollMsDefault, retryMs = retryMsDefault } = this.#options
    const waiting = [...this.#leases.values()].some((lease) => !lease.prepared)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#requestReload(), waiting ? Math.min(retryMs, pollMs) : pollMs)
    this.#timer.unref()
  }

  /** One reload at a time; what is announced during one is looked at by the next. */
  #requestReload(): void {
    if (this.#closed) return
    if (this.#reloading !== undefined) {
      this.#reloadAgain = true
      return
    }
    this.#reloadAgain = false
    this.#reloading = this.#reload()
      .catch((error: unknown) => {
        this.#options.log.warn({ err: error }, 'the table of regions could not be read; the regions in use stay')
      })
      .finally(() => {
        this.#reloading = undefined
        if (this.#reloadAgain) this.#requestReload()
        else this.#schedule()
      })
  }

  async #reload(): Promise<void> {
    const wanted = await loadRegionSettings(this.#options.control, this.#options.secrets)
    for (const [region, lease] of this.#leases)
      if (!wanted.has(region)) {
        this.#leases.delete(region)
        this.#options.log.warn({ region }, 'region is no longer configured')
        this.#retire(lease)
      }
    await Promise.all([...wanted].map(([region, settings]) => this.#adopt(region, settings)))
  }

  async #adopt(region: Region, settings: RegionSettings): Promise<void> {
    const current = this.#leases.get(region)
    if (current !== undefined && sameSettings(current.settings, settings)) {
      if (!current.prepared) await this.#prepare(current)
      return
    }
    const candidate = this.#makeLease(region, settings)
    // A new region is known from now on, though it may not answer yet. One that works is replaced by one that works.
    if (current === undefined) {
      this.#leases.set(region, candidate)
      await this.#prepare(candidate)
      return
    }
    if (!(await this.#prepare(candidate))) {
      await candidate.handle.database.close(0)
      return
    }
    this.#leases.set(region, candidate)
    this.#options.log.info({ region }, 'region is used with its new settings')
    this.#retire(current)
  }

  #makeLease(region: Region, settings: RegionSettings): Lease {
    const lease: Lease = {
      settings,
      prepared: false,
      uses: 0,
      retired: false,
      handle: {
        region,
        coldStorage: settings.coldStorage,
        database: Database.open({
          name: region,
          url: settings.databaseUrl,
          readOnlyUrl: settings.readOnlyUrl,
          ...(this.#options.poolMax === undefined ? {} : { poolMax: this.#options.poolMax }),
          // Statements would fail on missing tables, or run as a role that could rewrite history.
          heldBack: () => !lease.prepared,
        }),
      },
    }
    return lease
  }

  /** Migrates and checks the role. False where the region can't be used (yet); why is in the log, once. */
  async #prepare(lease: Lease): Promise<boolean> {
    const { region } = lease.handle
    const { ownerUrl, databaseUrl } = lease.settings
    try {
      if (ownerUrl !== undefined) {
        const { applied } = await migrate({ ownerUrl, serviceRole: roleOf(databaseUrl), kind: 'region', name: region })
        if (applied.length > 0) this.#options.log.info({ region, applied }, 'region was migrated')
      }
      const problems = await checkServiceRole(databaseUrl, region)
      if (problems.length > 0) {
        this.#refuse(lease, `the role of its database URL ${problems.join('; ')}`)
        return false
      }
      lease.prepared = true
      this.#refused.delete(region)
      return true
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      this.#refuse(lease, error.unavailable ? 'it does not answer' : error.message, error)
      return false
    }
  }

  #refuse(lease: Lease, problem: string, error?: DatabaseError): void {
    const { region } = lease.handle
    // Tried again every second or so: said once.
    const said = this.#refused.get(region)
    if (said !== undefined && sameSettings(said, lease.settings)) return
    this.#refused.set(region, lease.settings)
    const old = this.#leases.get(region)
    const keeps = old !== undefined && old !== lease
    this.#options.log.warn(
      { region, problem, err: error },
      keeps ? 'region can not be used with its new settings; the old ones stay in use' : 'region can not be used yet',
    )
    if (error?.unavailable !== true) this.#problems.push({ region, problem })
  }

  #retire(lease: Lease): void {
    lease.retired = true
    if (lease.uses === 0) this.#end(lease)
  }

  #end(lease: Lease): void {
    const closing = lease.handle.database.close(closeTimeoutMs).finally(() => {
      this.#closing.delete(closing)
    })
    this.#closing.add(closing)
  }
}

function concernsRegions(payload: string): boolean {
  // Everything on the channel is ours; a text that is no JSON is treated as if it could be about anything.
  try {
    return (JSON.parse(payload) as { table?: unknown }).table === 'region_data_store'
  } catch {
    return true
  }
}
