import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import type { Deadline } from '../kernel/deadline.js'
import { newUuid } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { type RegionMode, regionModeIn } from './region-mode.js'
import {
  closeHome,
  endLease,
  finishClosing,
  forgetLeases,
  type HomeLeaseTimes,
  renewLease,
  reopenHome,
} from './region-mode.store.js'

/**
 * A commit lasts four seconds at most, and is begun on a lease that was renewed a second ago. A killed process is waited
 * for as long. The ten minutes are those for which facts of control are believed while it is away.
 */
export const HOME_LEASE_TIMES: HomeLeaseTimes = { leaseMs: 7_000, outageLeaseMs: 600_000 }
const RENEW_EVERY_MS = 1_000
const RETRY_MS = 250
const CONTROL_TIMEOUT_MS = 2_000
/** A transaction that its client has given up is ended by its server half a second later. */
const MARGIN_MS = 1_000
/** What is about to end is no leave to begin on: it is renewed first. */
const TICKET_MS_MIN = 250
const POLL_MS = 25

export interface RegionModesDeps {
  readonly control: Database
  readonly onFailure: (error: unknown) => void
  readonly times?: HomeLeaseTimes
  /** No other process of the service runs on this control database: leases found at the start are of dead ones. */
  readonly isAlone?: boolean
}

/** That events may be committed in a region: valid until a change of its mode is heard of, or the lease ends. */
export interface HomeTicket {
  readonly region: Region
  readonly epoch: number
}

/**
 * Where each region's writes go, as this process may believe it. HOME is believed on a lease that is renewed in the
 * control database each second; a change that takes it away waits for the acknowledgement of every process, or for the
 * end of its lease. All asked of memory.
 *
 * While control can't be reached nobody can change a mode, so a process that finds it away before its lease is over goes
 * on for ten minutes. The others tell that from death by what control knows: it was started after that process's last
 * renewal, or somebody has found it again after having missed it. A process that alone is cut off from a control that all
 * others reach looks to them as if it had died: for as long as it can reach a region that they can't, it may commit there
 * while they queue. What that may cost is the order between the two, never an event.
 */
export class RegionModes {
  readonly #deps: RegionModesDeps
  readonly #times: HomeLeaseTimes
  readonly #processId = newUuid()
  readonly #known = new Map<Region, RegionMode>()
  /** By region the epoch in which HOME was granted. */
  readonly #granted = new Map<Region, number>()
  readonly #stop = new AbortController()
  /** When the last renewal that succeeded was sent. */
  #renewedMs = -Infinity
  /** Control was found away while the lease was still good. */
  #isControlAway = false
  #hasMissedControl = false
  #isFailing = false
  #renewing: Promise<void> | undefined
  #loop: Promise<void> = Promise.resolve()
  readonly #finishing = new Map<Region, Promise<void>>()
  readonly #listeners: ((mode: RegionMode) => void)[] = []

  constructor(deps: RegionModesDeps) {
    this.#deps = deps
    this.#times = deps.times ?? HOME_LEASE_TIMES
  }

  /** Takes a first lease and begins to renew it. Throws DatabaseError where the control database does not answer. */
  async start(): Promise<void> {
    if (this.#deps.isAlone === true) await forgetLeases(this.#deps.control, CONTROL_TIMEOUT_MS)
    await this.#renewOnce()
    this.#loop = this.#follow()
  }

  /** Gives the lease back. To be called when nothing is being recorded any more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
    await Promise.allSettled([this.#renewing, ...this.#finishing.values()])
    this.#granted.clear()
    await endLease(this.#deps.control, this.#processId, CONTROL_TIMEOUT_MS).catch((error: unknown) =>
      this.#deps.onFailure(error),
    )
  }

  /** Tells of every change from now on, after it is acted by here. */
  onChanged(listener: (mode: RegionMode) => void): void {
    this.#listeners.push(listener)
  }

  /** The mode last heard of; undefined before the first. */
  of(region: Region): RegionMode | undefined {
    return this.#known.get(region)
  }

  isFailedOver(region: Region): boolean {
    return (this.#known.get(region)?.failedOverAt ?? null) !== null
  }

  /** Null where nothing may be committed in the region now. */
  home(region: Region): HomeTicket | null {
    const epoch = this.#granted.get(region)
    return epoch === undefined || this.#leftMs() < TICKET_MS_MIN ? null : { region, epoch }
  }

  /** Whether a ticket is good still, and for how many milliseconds at least. 0: it is not. */
  leftMs({ region, epoch }: HomeTicket): number {
    return this.#granted.get(region) === epoch ? Math.max(0, this.#leftMs()) : 0
  }

  /** What the listener heard. */
  notified(payload: string): void {
    const mode = regionModeIn(payload)
    if (mode === null) return
    this.learn(mode)
    // To acknowledge it, or to be granted HOME.
    if (!this.#stop.signal.aborted) void this.#renew()
  }

  /** The listener (re)connected: what was told meanwhile was missed. */
  reset(): void {
    if (!this.#stop.signal.aborted) void this.#renew()
  }

  /** Acts by a mode that was read, or made, in the control database. */
  learn(mode: RegionMode): void {
    const known = this.#known.get(mode.region)
    if (known !== undefined && known.epoch >= mode.epoch) return
    this.#known.set(mode.region, mode)
    if (this.#granted.get(mode.region) !== mode.epoch) this.#granted.delete(mode.region)
    for (const listener of this.#listeners) listener(mode)
  }

  /**
   * Waits until it is known where a region's writes go: HOME with a lease, or QUEUEING. Null where that could not be
   * found out in time, or the control database does not answer.
   */
  async settled(region: Region, deadline: Deadline): Promise<HomeTicket | RegionMode | null> {
    // A connection that died while it was idle is no outage; two in a row are.
    for (let failures = 0; ;) {
      const ticket = this.home(region)
      if (ticket !== null) return ticket
      const known = this.#known.get(region)
      if (known?.mode === 'QUEUEING') return known
      if (deadline.remainingMs() === 0 || this.#stop.signal.aborted) return null
      try {
        if (known?.mode === 'CLOSING') await this.#finish(region)
        else await this.#renewOnce()
        failures = 0
      } catch (error) {
        if (!(error instanceof DatabaseError) || !error.unavailable || ++failures > 1) return null
      }
      if (this.home(region) === null && this.#known.get(region)?.mode !== 'QUEUEING') await wait(POLL_MS)
    }
  }

  /**
   * Begins to send a region's writes to the queue, where they go home now; every process hears of it. Throws
   * DatabaseError where the control database does not answer.
   */
  async close(region: Region): Promise<void> {
    const { control } = this.#deps
    const close = () => control.transaction({ timeoutMs: CONTROL_TIMEOUT_MS }, (tx) => closeHome(tx, region, newUuid()))
    // Once more, should the connection have died while it was idle. Repeated, it changes nothing.
    this.learn(await close().catch(close))
  }

  /**
   * Takes the closing of a region back, which takes writes again, where a process that is not heard of would keep it from
   * ending for minutes. Throws DatabaseError where the control database does not answer.
   */
  async reopen(region: Region): Promise<void> {
    this.learn(await reopenHome(this.#deps.control, region, this.#times.leaseMs, CONTROL_TIMEOUT_MS))
    this.reset()
  }

  #leftMs(): number {
    const { leaseMs, outageLeaseMs } = this.#times
    return this.#renewedMs + (this.#isControlAway ? outageLeaseMs : leaseMs) - MARGIN_MS - performance.now()
  }

  async #follow(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const isWell = await this.#renew()
      // The only way it rejects is the stop, which the loop sees by itself.
      await wait(isWell ? RENEW_EVERY_MS : RETRY_MS, undefined, { signal: this.#stop.signal, ref: false }).catch(
        () => undefined,
      )
    }
  }

  async #renew(): Promise<boolean> {
    try {
      await this.#renewOnce()
      for (const { region, mode } of this.#known.values()) if (mode === 'CLOSING') await this.#finish(region)
      this.#isFailing = false
      return true
    } catch (error) {
      // Tried again four times a second: said once.
      if (!this.#isFailing) this.#deps.onFailure(error)
      this.#isFailing = true
      return false
    }
  }

  /** One renewal at a time; whoever comes during one waits for the next, which knows what was learnt meanwhile. */
  async #renewOnce(): Promise<void> {
    await this.#renewing?.catch(() => undefined)
    if (this.#renewing !== undefined) return this.#renewing
    const renewing = this.#renewLease().finally(() => {
      if (this.#renewing === renewing) this.#renewing = undefined
    })
    this.#renewing = renewing
    return renewing
  }

  async #renewLease(): Promise<void> {
    const sentMs = performance.now()
    const acknowledged: Partial<Record<Region, number>> = {}
    for (const { region, mode, epoch } of this.#known.values()) if (mode !== 'HOME') acknowledged[region] = epoch
    let modes: RegionMode[]
    try {
      modes = await renewLease(this.#deps.control, {
        processId: this.#processId,
        acknowledged,
        foundAgain: this.#hasMissedControl && sentMs - this.#renewedMs > this.#times.leaseMs / 2,
        times: this.#times,
        timeoutMs: CONTROL_TIMEOUT_MS,
      })
    } catch (error) {
      if (error instanceof DatabaseError && error.unavailable) {
        // Missed before the lease was over: from here on nobody could have taken HOME away.
        if (this.#leftMs() > 0) this.#isControlAway = true
        // Told of when it is found again, but for what was too short to carry anybody beyond its lease.
        this.#hasMissedControl = true
      }
      throw error
    }
    this.#renewedMs = sentMs
    this.#isControlAway = false
    this.#hasMissedControl = false
    let isNews = false
    for (const mode of modes) {
      this.learn(mode)
      if (mode.mode !== 'HOME') isNews ||= acknowledged[mode.region] !== mode.epoch
      else if (this.#known.get(mode.region)?.epoch === mode.epoch) this.#granted.set(mode.region, mode.epoch)
    }
    // Acknowledged at once: somebody may be waiting for it.
    if (isNews && !this.#stop.signal.aborted) return this.#renewLease()
  }

  async #finish(region: Region): Promise<void> {
    const under = this.#finishing.get(region)
    if (under !== undefined) return under
    const { control } = this.#deps
    const finish = async (): Promise<void> => {
      // That control was away is noted first: whoever missed it, too, may believe in HOME for longer than a lease.
      if (this.#hasMissedControl) await this.#renewOnce()
      this.learn(await finishClosing(control, region, this.#times, CONTROL_TIMEOUT_MS))
    }
    const finishing = finish().finally(() => this.#finishing.delete(region))
    this.#finishing.set(region, finishing)
    return finishing
  }
}
