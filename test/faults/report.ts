import { regions } from '../../src/kernel/region.js'
import type { StreamCounts } from './check-streams.js'
import { controls } from './controls.js'
import type { SuiteOptions, SuiteResult } from './run-suite.js'

export const availabilityMin = 0.999
export const p99RatioMax = 1.5
/** Below this a percentile is the scheduler's noise. */
const p99NoiseMs = 10

const sum = (result: Pick<SuiteResult, 'counts'>, what: keyof StreamCounts): number =>
  regions.reduce((total, region) => total + result.counts[region][what], 0)

/** The figures over all regions. */
export interface Totals extends StreamCounts {
  readonly faults: number
  readonly longestStallMs: number
}

export const totalsOf = (result: SuiteResult): Totals => ({
  acknowledged: sum(result, 'acknowledged'),
  queued: sum(result, 'queued'),
  lost: sum(result, 'lost'),
  doubled: sum(result, 'doubled'),
  reordered: sum(result, 'reordered'),
  invented: sum(result, 'invented'),
  faults: result.injected.length,
  longestStallMs: Math.max(...result.served.map(({ longestStallMs }) => longestStallMs)),
})

/** Everything because of which a run counts as failed, in words; nothing where it is as it must be. */
export function findingsOf(result: SuiteResult, options: SuiteOptions): string[] {
  const totals = totalsOf(result)
  const findings: string[] = []
  for (const what of ['lost', 'doubled', 'reordered', 'invented'] as const)
    if (totals[what] > 0) findings.push(`${totals[what]} events ${what}`)
  if (totals.acknowledged < options.events)
    findings.push(`only ${totals.acknowledged} of ${options.events} events were acknowledged`)
  if (totals.faults < options.faults) findings.push(`only ${totals.faults} of ${options.faults} faults happened`)
  if (result.unacknowledged > 0)
    findings.push(`${result.unacknowledged} events were never acknowledged, though all was healed`)
  const internal = result.byOutcome['INTERNAL_SERVER_ERROR'] ?? 0
  if (internal > 0) findings.push(`${internal} requests were answered INTERNAL_SERVER_ERROR`)
  for (const { region, availability, requests, failed } of result.served)
    if (availability < availabilityMin)
      findings.push(`${region} failed ${failed} of ${requests} requests while only others were in trouble`)
  return [...findings, ...result.faults]
}

/** Where a region answered more slowly than it may because another was in trouble, in words. */
export const slownessOf = (result: SuiteResult): string[] =>
  result.served
    .filter(({ p99BeforeMs, p99MeanwhileMs }) => p99MeanwhileMs > Math.max(p99NoiseMs, p99BeforeMs * p99RatioMax))
    .map(
      ({ region, p99BeforeMs, p99MeanwhileMs }) =>
        `${region} had a p99 of ${p99MeanwhileMs.toFixed(1)} ms while others were in trouble, ${p99BeforeMs.toFixed(1)} ms before`,
    )

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
    )
    .join('\n')
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

/** What a person reads at the end of a run. */
export function tableOf(result: SuiteResult, options: SuiteOptions): string {
  const totals = totalsOf(result)
  const rows = regions.map((region) => {
    const counts = result.counts[region]
    const served = result.served.find((one) => one.region === region)!
    return [
      region,
      ...[counts.acknowledged, counts.queued, counts.lost, counts.doubled, counts.reordered].map(String),
      String(result.injected.filter(({ target }) => target === region).length),
      seconds(served.longestStallMs),
      seconds(served.longestOutageMs),
      `${(served.availability * 100).toFixed(2)} %`,
      `${served.p99BeforeMs.toFixed(1)} ms`,
      `${served.p99MeanwhileMs.toFixed(1)} ms`,
    ]
  })
  const all = [
    'all',
    ...[totals.acknowledged, totals.queued, totals.lost, totals.doubled, totals.reordered, totals.faults].map(String),
  ]
  const heads = [
    '',
    'acked',
    'queued',
    'lost',
    'doubled',
    'reordered',
    'faults',
    'longest stall',
    'own outage',
    'served',
    'p99 before',
    'meanwhile',
  ]
  const kinds = Object.entries(Object.groupBy(result.injected, ({ kind }) => kind)).map(
    ([kind, of]) => `${kind} ${of.length}`,
  )
  const outcomes = Object.entries(result.byOutcome).map(([outcome, count]) => `${outcome} ${count}`)
  return [
    aligned([
      heads,
      ...rows,
      [
        ...all,
        ...heads.slice(all.length).map((head) => (head === 'longest stall' ? seconds(totals.longestStallMs) : '')),
      ],
    ]),
    '',
    `Faults: ${kinds.join(', ')}.`,
    `Requests: ${outcomes.join(', ')}.`,
    ...(options.without.length > 0 ? [`Left out, as this machine can't do it: ${options.without.join(', ')}.`] : []),
    ...(options.control === null ? [] : [`A control: ${controls[options.control].description}.`]),
  ].join('\n')
}
