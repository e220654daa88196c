import { setTimeout as wait } from 'node:timers/promises'
import { regions, type Region } from '../../src/kernel/region.js'
import type { ApiFault, FaultKind, PlannedFault, RegionFault } from './fault-plan.js'
import type { FaultWorld } from './world.js'

/** A fault that happened, on the clock of the machine. */
export interface InjectedFault {
  readonly kind: FaultKind
  /** A region, `CONTROL`, or `API 1`. */
  readonly target: string
  readonly startMs: number
  /** When what it did was taken back and the target served again, as far as that can be seen from outside. */
  readonly endMs: number
}

/** Regions in trouble at one moment; the others must go on. */
const regionsAtOnceMax = 2
const pollMs = 20

const nowMs = (): number => performance.timeOrigin + performance.now()

/** How the target of a fault is called. */
export function targetOf(fault: PlannedFault): string {
  if ('region' in fault) return fault.region
  return 'api' in fault ? apiName(fault.api) : 'CONTROL'
}

export const apiName = (index: number): string => `API ${index + 1}`

/**
 * Carries a plan out: faults begin in its order, and wait where a target is still in trouble, where two regions are, or
 * where the other API process is (nobody would be left to ask). Each is healed when its time is over.
 */
export class FaultInjector {
  readonly injected: InjectedFault[] = []
  readonly #world: FaultWorld
  readonly #busy = new Set<string>()
  readonly #onInjected: (count: number) => void

  constructor(world: FaultWorld, onInjected: (count: number) => void) {
    this.#world = world
    this.#onInjected = onInjected
  }

  /** Resolves when the last fault is healed. Rejects where something could not be brought back. */
  async run(plan: readonly PlannedFault[]): Promise<void> {
    const running: Promise<void>[] = []
    const failures: unknown[] = []
    for (const fault of plan) {
      await wait(fault.afterMs)
      while (!this.#admits(fault) && failures.length === 0) await wait(pollMs)
      if (failures.length > 0) break
      running.push(this.#inject(fault).catch((error: unknown) => void failures.push(error)))
    }
    await Promise.all(running)
    if (failures.length > 0) throw failures[0]
  }

  #admits(fault: PlannedFault): boolean {
    const target = targetOf(fault)
    if (this.#busy.has(target)) return false
    if ('region' in fault) return regions.filter((region) => this.#busy.has(region)).length < regionsAtOnceMax
    return !('api' in fault) || ![...this.#busy].some((name) => name.startsWith('API'))
  }

  async #inject(fault: PlannedFault): Promise<void> {
    const target = targetOf(fault)
    this.#busy.add(target)
    const startMs = nowMs()
    try {
      const heal = await this.#begin(fault)
      await wait(fault.durationMs)
      await heal()
      this.injected.push({ kind: fault.kind, target, startMs, endMs: nowMs() })
      this.#onInjected(this.injected.length)
    } finally {
      this.#busy.delete(target)
    }
  }

  /** Does it; answers how it is taken back. */
  async #begin(fault: PlannedFault): Promise<() => Promise<void>> {
    if ('api' in fault) return this.#beginWithApi(fault.kind, this.#world.apis[fault.api]!, fault.skewMs)
    if ('region' in fault) return this.#beginWithRegion(fault.kind, fault.region, fault.delayMs)
    const { control } = this.#world
    if (fault.kind === 'kill-control') {
      control.kill()
      return () => control.revive()
    }
    await control.proxy.set(fault.kind === 'cut-control' ? 'refuse' : 'hang')
    return () => control.proxy.set('pass')
  }

  async #beginWithApi(kind: ApiFault, api: FaultWorld['apis'][number], skewMs: number): Promise<() => Promise<void>> {
    switch (kind) {
      case 'kill-api':
        await api.kill()
        return () => api.start()
      case 'pause-api':
        api.pause()
        return async () => api.resume()
      case 'skew-clock':
        api.skew(skewMs)
        return async () => api.skew(0)
    }
  }

  async #beginWithRegion(kind: RegionFault, region: Region, delayMs: number): Promise<() => Promise<void>> {
    const server = this.#world.regions[region]
    const { proxy } = server
    const pass = (): Promise<void> => proxy.set('pass')
    switch (kind) {
      case 'kill-region':
        server.kill()
        return () => server.revive()
      case 'pause-region':
        server.pause()
        return async () => server.resume()
      case 'fill-disk':
        server.fillDisk()
        return async () => {
          server.freeDisk()
          await server.revive()
        }
      case 'cut-region':
        await proxy.set('refuse')
        return pass
      case 'hang-region':
        await proxy.set('hang')
        return pass
      case 'slow-region':
        await proxy.set('slow', delayMs)
        return pass
      case 'lose-commits':
        await proxy.set('lose-commits')
        return pass
    }
  }
}
