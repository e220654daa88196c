import { Counter, Gauge, type Registry } from 'prom-client'
import type { AllCacheFigures } from '../cache/cache-figures.js'

/** Adds what is counted of the caches of this process. */
export function addCacheFigures(registry: Registry, figures: () => AllCacheFigures): void {
  registry.registerMetric(
    new Counter({
      name: 'hyrelog_cache_hits_total',
      help: 'Answers that were remembered, and were found to be still right, by level: memory or redis.',
      labelNames: ['cache', 'level'],
      registers: [],
      collect() {
        this.reset()
        for (const [cache, { hits }] of Object.entries(figures().kinds))
          for (const [level, count] of Object.entries(hits)) this.inc({ cache, level }, count)
      },
    }),
  )
  registry.registerMetric(
    new Counter({
      name: 'hyrelog_cache_misses_total',
      help: 'Answers that were not remembered, or no longer right.',
      labelNames: ['cache'],
      registers: [],
      collect() {
        this.reset()
        for (const [cache, { misses }] of Object.entries(figures().kinds)) this.inc({ cache }, misses)
      },
    }),
  )
  registry.registerMetric(
    new Counter({
      name: 'hyrelog_cache_errors_total',
      help: 'Times that Redis was of no use: unavailable (no answer in time), refused (an error, such as no memory left), or invalid (what it held was not written by this service).',
      labelNames: ['reason'],
      registers: [],
      collect() {
        this.reset()
        for (const [reason, count] of Object.entries(figures().troubles)) this.inc({ reason }, count)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'hyrelog_cache_redis_up',
      help: 'Whether Redis answers this process; absent where REDIS_URL is not set.',
      registers: [],
      collect() {
        this.reset()
        const { isRedisUp } = figures()
        if (isRedisUp === null) this.remove()
        else this.set(isRedisUp ? 1 : 0)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'hyrelog_cache_memory_pages',
      help: 'First pages of event lists in the memory of this process.',
      registers: [],
      collect() {
        this.set(figures().pagesHeld)
      },
    }),
  )
}
