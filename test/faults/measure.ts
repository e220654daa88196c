import { regions, type Region } from '../../src/kernel/region.js'
import { readAttempts, type Attempt } from './attempt-log.js'
import { apiName, type InjectedFault } from './fault-injector.js'

/** How well a region was served while only others were in trouble. */
export interface ServedMeanwhile {
  readonly region: Region
  readonly requests: number
  readonly failed: number
  /** In 0 to 1; 1 where nothing was asked. */
  readonly availability: number
  /** Of requests with a single event, in milliseconds: while nothing was wrong, and while another region was. */
  readonly p99BeforeMs: number
  readonly p99MeanwhileMs: number
  /** The longest time without an acknowledgement, in milliseconds: while it was in no trouble itself, and ever. */
  readonly longestStallMs: number
  readonly longestOutageMs: number
}

export interface Phases {
  /** Nothing was wrong in between. */
  readonly calmFromMs: number
  readonly calmToMs: number
  readonly endMs: number
}

/** After a fault: a region recovers, pools are filled anew, what waited is worked off. Nothing is claimed of it then. */
const graceMs = 3_000

/**
 * Some clients give up early, to send again what is still under way. That is no failure of the service, but how long they
 * had waited counts as time that an answer took.
 */
const patienceMs = 3_900

interface Window {
  readonly fromMs: number
  readonly toMs: number
}

const overlaps = ({ fromMs, toMs }: Window, startMs: number, endMs: number): boolean => startMs < toMs && endMs > fromMs
const windowsOf = (faults: readonly InjectedFault[], graceMsOwn: number): Window[] =>
  faults.map(({ startMs, endMs }) => ({ fromMs: startMs, toMs: endMs + graceMsOwn }))

/** How long a region may take, once it is healed, until its queue is empty and its writes go home again. */
const homecomingMs = 5_000

/**
 * When a region was in trouble itself. One that had not come home yet when the control database went away has to wait for
 * it: neither may anybody write there, nor is there a queue.
 */
function ownWindows(region: Region, faults: readonly InjectedFault[]): Window[] {
  const ofControl = faults.filter(({ target }) => target === 'CONTROL').toSorted((a, b) => a.startMs - b.startMs)
  return faults
    .filter(({ target }) => target === region)
    .map(({ startMs, endMs }) => {
      let toMs = endMs + graceMs
      for (const control of ofControl)
        if (control.endMs > startMs && control.startMs < toMs - graceMs + homecomingMs)
          toMs = Math.max(toMs, control.endMs + graceMs)
      return { fromMs: startMs, toMs }
    })
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** The longest time between neighbours, of those pairs that `counts` admits. */
function longestGap(moments: readonly number[], counts: (fromMs: number, toMs: number) => boolean): number {
  let longest = 0
  for (let index = 1; index < moments.length; index++) {
    const from = moments[index - 1]!
    const to = moments[index]!
    if (to - from > longest && counts(from, to)) longest = to - from
  }
  return longest
}

class RegionMeter {
  requests = 0
  failed = 0
  readonly before: number[] = []
  readonly meanwhile: number[] = []
  readonly acknowledgedMs: number[] = []
  readonly own: readonly Window[]
  readonly #others: readonly Window[]

  constructor(
    readonly region: Region,
    faults: readonly InjectedFault[],
  ) {
    const isApi = ({ target }: InjectedFault): boolean => target.startsWith('API')
    this.own = ownWindows(region, faults)
    this.#others = windowsOf(
      faults.filter((fault) => fault.target !== region && !isApi(fault)),
      0,
    )
  }

  add(
    { startMs, endMs, outcome, count }: Attempt,
    phases: Phases,
    api: { readonly asked: boolean; readonly any: boolean },
  ): void {
    if (outcome === 'OK') this.acknowledgedMs.push(endMs)
    const within = (windows: readonly Window[]): boolean => windows.some((one) => overlaps(one, startMs, endMs))
    if (startMs >= phases.calmFromMs && endMs <= phases.calmToMs && count === 1) this.before.push(endMs - startMs)
    // What was asked of a process that was dead or asleep says nothing about a region.
    if (api.asked || within(this.own) || !within(this.#others)) return
    const gaveUp = outcome === 'TIMEOUT' && endMs - startMs < patienceMs
    if (!gaveUp) this.requests++
    if (outcome !== 'OK' && !gaveUp) this.failed++
    // A process that starts takes a core: what is slow then is not slow because of another region.
    else if (count === 1 && !api.any) this.meanwhile.push(endMs - startMs)
  }

  result(phases: Phases): ServedMeanwhile {
    const moments = this.acknowledgedMs.filter((ms) => ms >= phases.calmFromMs && ms <= phases.endMs)
    moments.sort((a, b) => a - b)
    return {
      region: this.region,
      requests: this.requests,
      failed: this.failed,
      availability: this.requests === 0 ? 1 : 1 - this.failed / this.requests,
      p99BeforeMs: quantile(this.before, 0.99),
      p99MeanwhileMs: quantile(this.meanwhile, 0.99),
      longestStallMs: longestGap(moments, (from, to) => !this.own.some((one) => overlaps(one, from, to))),
      longestOutageMs: longestGap(moments, () => true),
    }
  }
}

/** How each region was served, as its clients saw it. `byOutcome` counts all requests by what came of them. */
export async function measureService(
  attemptsFile: string,
  faults: readonly InjectedFault[],
  phases: Phases,
): Promise<{ readonly served: readonly ServedMeanwhile[]; readonly byOutcome: Readonly<Record<string, number>> }> {
  const meters = new Map(regions.map((region) => [region, new RegionMeter(region, faults)]))
  const ofControl = windowsOf(
    faults.filter(({ target }) => target === 'CONTROL'),
    graceMs,
  )
  // A clock that is wrong is no excuse, but for one that jumps while control is away: how old things are is not known then.
  const apiFaults = faults.filter(
    ({ target, kind, startMs, endMs }) =>
      target.startsWith('API') &&
      (kind !== 'skew-clock' || ofControl.some((control) => overlaps(control, startMs, endMs))),
  )
  const ofApi = (index: number): Window[] =>
    windowsOf(
      apiFaults.filter(({ target }) => target === apiName(index)),
      graceMs,
    )
  const perApi = new Map<number, Window[]>()
  const anyApi = windowsOf(apiFaults, graceMs)
  // One that sleeps with the heads of chains locked holds up the other, too, until the databases end its transactions.
  const asleep = windowsOf(
    apiFaults.filter(({ kind }) => kind === 'pause-api'),
    graceMs,
  )
  const byOutcome: Record<string, number> = {}
  for await (const attempt of readAttempts(attemptsFile)) {
    const { api, region, startMs, endMs, outcome } = attempt
    byOutcome[outcome] = (byOutcome[outcome] ?? 0) + 1
    if (!perApi.has(api)) perApi.set(api, ofApi(api))
    const during = (windows: readonly Window[]): boolean => windows.some((one) => overlaps(one, startMs, endMs))
    meters.get(region)!.add(attempt, phases, { asked: during(perApi.get(api)!) || during(asleep), any: during(anyApi) })
  }
  return { served: [...meters.values()].map((meter) => meter.result(phases)), byOutcome }
}
