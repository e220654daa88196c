import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { CommitFigures } from '../events/committer.js'
import type { JobReport } from '../jobs/job-run.js'
import { DatabaseError } from '../db/database-error.js'
import { DeadlineExceeded, within } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { PendingFigures } from '../failover/pending-write.store.js'
import type { RegionMode } from '../regions/region-mode.js'
import type { RegionState } from '../regions/region-state.js'

/** How long a region has to answer for its figures. */
const REGION_TIMEOUT_MS = 1_000

const REQUEST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const COMMIT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const BATCH_EVENTS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000]
const JOB_SECONDS = [0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 3_600]

/** Where figures come from that nobody reports: asked at each scrape. */
export interface MetricSources {
  readonly regions: () => readonly Region[]
  /** The last health check of a region, while it says something. */
  readonly stateOf: (region: Region) => RegionState | undefined
  /** Events that the global index does not know yet. */
  readonly indexPendingOf: (region: Region) => Promise<number>
  readonly pendingFigures: () => Promise<readonly PendingFigures[]>
  readonly modeOf: (region: Region) => RegionMode | undefined
  readonly checkpointAlarms: () => ReadonlyMap<string, number>
  readonly verificationFailures: () => ReadonlyMap<string, number>
}

/** A request to the HTTP server that was answered. */
export interface AnsweredRequest {
  readonly method: string
  /** The route as it is declared, never the address that was asked for. */
  readonly route: string | null
  readonly status: number
  readonly ms: number
}

/** The figures of one process, for Prometheus. Labels are words of ours: no ids, no addresses, nothing of anybody. */
export interface Metrics {
  readonly contentType: string
  text(): Promise<string>
  jobEnded(report: JobReport): void
  committed(region: Region, batch: CommitFigures): void
  queued(region: Region, events: number): void
  drained(region: Region, events: number): void
  answered(request: AnsweredRequest): void
}

/** Makes the figures of a process, all at zero. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  addRegionFigures(registry, sources)
  addAlarmFigures(registry, sources)
  addQueueFigures(registry, sources)
  const jobRuns = new Counter({
    name: 'hyrelog_job_runs_total',
    help: 'Runs of background jobs that are over, in this process.',
    labelNames: ['job', 'region', 'outcome'],
    registers,
  })
  const jobSeconds = new Histogram({
    name: 'hyrelog_job_run_duration_seconds',
    help: 'How long runs of background jobs took.',
    labelNames: ['job'],
    buckets: JOB_SECONDS,
    registers,
  })
  const requestSeconds = new Histogram({
    name: 'hyrelog_http_request_duration_seconds',
    help: 'HTTP requests that were answered, and how long that took.',
    labelNames: ['method', 'route', 'status'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const recording = recordingFigures(registers)
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    jobEnded({ job, region, outcome, durationMs }) {
      jobRuns.inc({ job, region: region ?? '', outcome })
      if (outcome !== 'SKIPPED') jobSeconds.observe({ job }, durationMs / 1000)
    },
    ...recording,
    answered({ method, route, status, ms }) {
      requestSeconds.observe({ method, route: route ?? '', status }, ms / 1000)
    },
  }
}

function recordingFigures(registers: Registry[]): Pick<Metrics, 'committed' | 'queued' | 'drained'> {
  const events = new Counter({
    name: 'hyrelog_events_recorded_total',
    help: 'Events recorded by this process.',
    labelNames: ['region'],
    registers,
  })
  const batchEvents = new Histogram({
    name: 'hyrelog_commit_batch_events',
    help: 'Events of one commit.',
    labelNames: ['region'],
    buckets: BATCH_EVENTS,
    registers,
  })
  const commitSeconds = new Histogram({
    name: 'hyrelog_commit_duration_seconds',
    help: 'How long a commit took, sealing included.',
    labelNames: ['region'],
    buckets: COMMIT_SECONDS,
    registers,
  })
  const queued = new Counter({
    name: 'hyrelog_events_queued_total',
    help: 'Events that this process put into the pending queue, their region being down.',
    labelNames: ['region'],
    registers,
  })
  const drained = new Counter({
    name: 'hyrelog_events_drained_total',
    help: 'Events that this process brought home from the pending queue.',
    labelNames: ['region'],
    registers,
  })
  return {
    committed(region, batch) {
      events.inc({ region }, batch.recorded)
      batchEvents.observe({ region }, batch.events)
      commitSeconds.observe({ region }, batch.ms / 1000)
    },
    queued: (region, count) => queued.inc({ region }, count),
    drained: (region, count) => drained.inc({ region }, count),
  }
}

/** What waits for regions, and where their writes go; left out while the control database does not say. */
function addQueueFigures(registry: Registry, sources: MetricSources): void {
  const labelNames = ['region']
  const figures: readonly {
    readonly name: string
    readonly help: string
    readonly of: (one: PendingFigures) => number
  }[] = [
    { name: 'hyrelog_pending_writes', help: 'Events that wait for their region.', of: (one) => one.pendingWrites },
    {
      name: 'hyrelog_pending_write_oldest_seconds',
      help: 'For how long the first of them has been waiting.',
      of: ({ oldestPendingWriteAt: at }) => (at === null ? 0 : Math.max(0, (Date.now() - at.getTime()) / 1000)),
    },
    { name: 'hyrelog_dead_letters', help: 'Events that their region would not take.', of: (one) => one.deadLetters },
  ]
  // Asked once for the three of a scrape, which are collected together.
  let asked: Promise<readonly PendingFigures[]> | undefined
  const ask = (): Promise<readonly PendingFigures[]> =>
    (asked ??= within(REGION_TIMEOUT_MS, sources.pendingFigures())
      .catch((error: unknown) => {
        if (error instanceof DeadlineExceeded || error instanceof DatabaseError) return []
        throw error
      })
      .finally(() => {
        asked = undefined
      }))
  for (const { name, help, of } of figures)
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames,
        registers: [],
        async collect() {
          const all = await ask()
          this.reset()
          for (const one of all) this.set({ region: one.region }, of(one))
        },
      }),
    )
  registry.registerMetric(
    new Gauge({
      name: 'hyrelog_region_mode',
      help: 'Where the writes of a region go: 1 for the mode that it is in.',
      labelNames: ['region', 'mode'],
      registers: [],
      collect() {
        this.reset()
        for (const region of sources.regions()) {
          const mode = sources.modeOf(region)
          if (mode === undefined) continue
          this.set({ region, mode: mode.failedOverAt === null ? mode.mode : 'FAILED_OVER' }, 1)
        }
      },
    }),
  )
}

function addRegionFigures(registry: Registry, sources: MetricSources): void {
  const labelNames = ['region']
  const isUp = (region: Region) => sources.stateOf(region)?.answers
  // What nobody knows is left out: 0 would say that it is known.
  registry.registerMetric(
    new Gauge({
      name: 'hyrelog_region_up',
      help: 'Whether the last health check found the region healthy: it answers and takes writes.',
      labelNames,
      registers: [],
      collect() {
        this.reset()
        for (const region of sources.regions()) {
          const state = sources.stateOf(region)
          if (state !== undefined) this.set({ region }, state.state === 'HEALTHY' ? 1 : 0)
        }
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'hyrelog_region_latency_seconds',
      help: 'How long the region took to answer the last health check.',
      labelNames,
      registers: [],
      collect() {
        this.reset()
        for (const region of sources.regions()) {
          const latencyMs = sources.stateOf(region)?.latencyMs ?? null
          if (latencyMs !== null) this.set({ region }, latencyMs / 1000)
        }
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'hyrelog_index_outbox_pending',
      help: 'Events that the global index does not know yet.',
      labelNames,
      registers: [],
      async collect() {
        const asked = sources.regions().filter((region) => isUp(region) !== false)
        const pending = await Promise.all(asked.map((region) => pendingOf(sources, region)))
        this.reset()
        for (const [index, count] of pending.entries()) if (count !== null) this.set({ region: asked[index]! }, count)
      },
    }),
  )
}

/** Null where the region does not say in time: the health check is what reports that. */
async function pendingOf(sources: MetricSources, region: Region): Promise<number | null> {
  const unanswered = (error: unknown): null => {
    if (error instanceof DeadlineExceeded || error instanceof DatabaseError || error instanceof DomainError) return null
    throw error
  }
  return within(REGION_TIMEOUT_MS, sources.indexPendingOf(region)).catch(unanswered)
}

function addAlarmFigures(registry: Registry, sources: MetricSources): void {
  registry.registerMetric(
    new Counter({
      name: 'hyrelog_checkpoint_alarms_total',
      help: 'Chains found to contradict what was signed of them.',
      labelNames: ['kind'],
      registers: [],
      collect() {
        this.reset()
        for (const [kind, count] of sources.checkpointAlarms()) this.inc({ kind }, count)
      },
    }),
  )
  registry.registerMetric(
    new Counter({
      name: 'hyrelog_verification_failures_total',
      help: 'Chains found not to verify.',
      labelNames: ['reason'],
      registers: [],
      collect() {
        this.reset()
        for (const [reason, count] of sources.verificationFailures()) this.inc({ reason }, count)
      },
    }),
  )
}
