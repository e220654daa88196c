export interface LoadResult {
  /** Requests answered per second. */
  readonly rate: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly answered: number
  /** The first answer that was not a success: then nothing else here means anything. */
  readonly failure: string | null
}

/** Nearest-rank percentile of sorted numbers. */
export const percentile = (sorted: ArrayLike<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN

/** What was measured, as a result. */
export function resultOf(latenciesMs: readonly number[], durationMs: number, failure: string | null): LoadResult {
  const sorted = Float64Array.from(latenciesMs).sort()
  return {
    rate: (latenciesMs.length / durationMs) * 1000,
    p50Ms: percentile(sorted, 0.5),
    p95Ms: percentile(sorted, 0.95),
    p99Ms: percentile(sorted, 0.99),
    answered: latenciesMs.length,
    failure,
  }
}
