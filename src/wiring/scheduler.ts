import type { Logger } from 'pino'
import type { AdminSigningDeps } from '../checkpoints/sign-admin-chains.js'
import { signAdminLogJob } from '../checkpoints/sign-admin-log.job.js'
import type { ArchiveDeps } from '../archive/archive-deps.js'
import { archiveJob } from '../archive/archive.job.js'
import { coldArchiveJob } from '../archive/cold-archive.job.js'
import { restoreJob } from '../archive/restore.job.js'
import { retentionJob } from '../archive/retention.job.js'
import { verifyArchiveJob } from '../archive/verify-archive.job.js'
import type { Config } from '../config.js'
import type { Database } from '../db/database.js'
import { idempotencyExpiryJob } from '../events/idempotency-expiry.job.js'
import { expireExportsJob } from '../exports/expire-exports.job.js'
import { failOverRegionsDown } from '../failover/fail-over.js'
import { failoverRecoveryJob } from '../failover/failover-recovery.job.js'
import type { RegionRecovery } from '../failover/region-recovery.js'
import type { ErasureDeps } from '../gdpr/erasure-deps.js'
import { gdprJob } from '../gdpr/gdpr.job.js'
import { expireJobRunsJob } from '../jobs/expire-job-runs.job.js'
import { healthJob } from '../jobs/health.job.js'
import type { JobReport } from '../jobs/job-run.js'
import type { LeaseTimes } from '../jobs/job-runner.js'
import { Scheduler } from '../jobs/scheduler.js'
import type { Clock } from '../kernel/clock.js'
import { sessionExpiryJob } from '../members/session-expiry.job.js'
import type { RegionModes } from '../regions/region-modes.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { ReplicationDeps } from '../replication/replication-deps.js'
import { replicationJob } from '../replication/replication.job.js'
import type { Metrics } from '../server/metrics.js'
import type { VerifyChainDeps } from '../verification/verify-chain.js'
import { verifyChainsJob } from '../verification/verify-chains.job.js'

export interface SchedulerDeps {
  readonly registry: RegionRegistry
  readonly control: Database
  readonly verification: VerifyChainDeps
  readonly erasure: ErasureDeps
  readonly adminChains: AdminSigningDeps
  readonly recovery: RegionRecovery
  readonly replication: ReplicationDeps
  readonly archive: ArchiveDeps
  readonly modes: RegionModes
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** Every background job of the service, on the schedules of the configuration. Not yet started. */
export function makeScheduler(
  {
    config,
    jobLeaseTimes: times,
  }: {
    readonly config: Pick<Config, 'autoFailover' | 'exportsDir' | 'jobSchedules'>
    readonly jobLeaseTimes?: LeaseTimes
  },
  deps: SchedulerDeps,
): Scheduler {
  const { registry, control, clock, log, metrics } = deps
  const companyIds = async () =>
    (await control.query<{ id: string }>('select id from company', [], { name: 'company_ids' })).map(({ id }) => id)
  const jobs = [
    healthJob({
      registry,
      control,
      ...(config.autoFailover ? { onChecked: () => failOverRegionsDown({ control, modes: deps.modes, clock }) } : {}),
    }),
    verifyChainsJob({ ...deps.verification, control, clock }),
    gdprJob(deps.erasure),
    signAdminLogJob(deps.adminChains),
    failoverRecoveryJob({ recovery: deps.recovery }),
    replicationJob(deps.replication),
    retentionJob(deps.archive),
    archiveJob(deps.archive),
    coldArchiveJob(deps.archive),
    restoreJob(deps.archive),
    verifyArchiveJob(deps.archive),
    sessionExpiryJob({ control, clock }),
    idempotencyExpiryJob({ registry, clock, companyIds }),
    expireExportsJob({ control, clock, exportsDir: config.exportsDir }),
    expireJobRunsJob({ control, clock }),
  ]
  return new Scheduler(jobs, {
    control,
    clock,
    regions: () => registry.list().map(({ region }) => region),
    schedules: config.jobSchedules,
    report: (report) => {
      metrics.jobEnded(report)
      logRun(log, report)
    },
    onFailure: (err) => log.warn({ err }, 'jobs could not be begun; it is tried again'),
    ...(times === undefined ? {} : { times }),
  })
}

function logRun(log: Logger, { cause, ...run }: JobReport): void {
  if (run.outcome === 'FAILED') log.error({ ...run, err: cause }, 'a job failed')
  else log.info(run, 'job')
}
