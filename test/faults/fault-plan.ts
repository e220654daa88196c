import { seededRandom, type SeededRandom } from '../../src/demo/seeded-random.js'
import { regions, type Region } from '../../src/kernel/region.js'

export const apiCount = 2

/** What can be done to a region. */
export const regionFaults = [
  'kill-region',
  'pause-region',
  'cut-region',
  'hang-region',
  'slow-region',
  'lose-commits',
  'fill-disk',
] as const
/** What can be done to an API process. */
export const apiFaults = ['kill-api', 'pause-api', 'skew-clock'] as const
/** What can be done to the control database. */
export const controlFaults = ['cut-control', 'hang-control', 'kill-control'] as const

export type RegionFault = (typeof regionFaults)[number]
export type ApiFault = (typeof apiFaults)[number]
export type ControlFault = (typeof controlFaults)[number]
export type FaultKind = RegionFault | ApiFault | ControlFault

/** One bounded fault. Times are milliseconds. */
export type PlannedFault = {
  /** Since the one before it began. */
  readonly afterMs: number
  readonly durationMs: number
} & (
  | { readonly kind: RegionFault; readonly region: Region; readonly delayMs: number }
  | { readonly kind: ApiFault; readonly api: number; readonly skewMs: number }
  | { readonly kind: ControlFault }
)

const gapMsMin = 500
const gapMsMax = 3_500
const durationMsMin = 700
const durationMsMax = 5_000
const delayMsMin = 20
const delayMsMax = 400
/** A key is remembered for 24 hours at least; clocks this far apart must not matter. */
const skewMsMax = 2 * 3_600_000

export interface PlanOptions {
  readonly seed: string
  readonly faults: number
  /** Kinds that this machine can't do, or that a run is not about. */
  readonly without?: readonly FaultKind[]
  readonly only?: readonly FaultKind[]
}

const isIn = <Name extends string>(names: readonly Name[], name: string): name is Name =>
  (names as readonly string[]).includes(name)

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const rest = [...items]
  const order: T[] = []
  while (rest.length > 0) order.push(...rest.splice(random.integer(rest.length), 1))
  return order
}

/**
 * The faults of a run, the same for the same seed. Kinds are dealt like cards, so that every one comes once before any
 * comes again, and so are regions; what happens to regions, most of what can happen, is dealt twice. Pure.
 */
export function planFaults({ seed, faults, without = [], only }: PlanOptions): PlannedFault[] {
  const random = seededRandom(seed)
  const deck = (only ?? [...regionFaults, ...regionFaults, ...apiFaults, ...controlFaults]).filter(
    (kind) => !without.includes(kind),
  )
  if (deck.length === 0) throw new TypeError('There is no kind of fault left.')
  const between = (min: number, max: number): number => Math.round(min + random.next() * (max - min))
  let kinds: FaultKind[] = []
  let targets: Region[] = []
  return Array.from({ length: faults }, () => {
    if (kinds.length === 0) kinds = shuffled(deck, random)
    if (targets.length === 0) targets = shuffled(regions, random)
    const kind = kinds.pop()!
    const times = { afterMs: between(gapMsMin, gapMsMax), durationMs: between(durationMsMin, durationMsMax) }
    if (isIn(regionFaults, kind))
      return { ...times, kind, region: targets.pop()!, delayMs: between(delayMsMin, delayMsMax) }
    if (isIn(apiFaults, kind))
      return { ...times, kind, api: random.integer(apiCount), skewMs: between(-skewMsMax, skewMsMax) }
    return { ...times, kind }
  })
}

/** How long the plan takes where nothing has to wait, in milliseconds. */
export const plannedMs = (plan: readonly PlannedFault[]): number =>
  plan.reduce((sum, fault) => sum + fault.afterMs, 0) + durationMsMax
