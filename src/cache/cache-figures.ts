/** Where an answer came from. */
export type CacheLevel = 'memory' | 'redis'

/** Why Redis was of no use: it did not answer, refused (full, or of another mind about a key), or held what isn't ours. */
export type CacheTrouble = 'unavailable' | 'refused' | 'invalid'

/** What is counted of one kind of answer (`pages`, `facts`) since the process began. */
export class CacheFigures {
  readonly hits: Record<CacheLevel, number> = { memory: 0, redis: 0 }
  misses = 0
}

/** What one process counts of its caches. */
export interface AllCacheFigures {
  readonly kinds: Readonly<Record<string, CacheFigures>>
  /** Of Redis; without one they stay at zero. */
  readonly troubles: Readonly<Record<CacheTrouble, number>>
  /** Whether Redis answers; null: there is none. */
  readonly isRedisUp: boolean | null
  /** First pages in this process's memory. */
  readonly pagesHeld: number
}
