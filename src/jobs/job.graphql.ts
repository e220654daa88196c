import { Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql'
import { NodeType } from '../graphql/node.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { DateTimeScalar, SafeIntScalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { JobOutcome, JobRun } from './job-run.js'
import type { ScheduledJob } from './scheduler.js'

export const JobOutcomeEnum = {
  RUNNING: 'RUNNING',
  SUCCEEDED: 'SUCCEEDED',
  FAILED: 'FAILED',
  SKIPPED: 'SKIPPED',
} as const satisfies Record<JobOutcome, JobOutcome>
registerEnumType(JobOutcomeEnum, {
  name: 'JobOutcome',
  description: 'What became of a run of a background job.',
  valuesConfig: {
    RUNNING: { description: 'It is going on.' },
    SUCCEEDED: { description: 'It did all it had to.' },
    FAILED: { description: 'It did not come to its end; error says why.' },
    SKIPPED: { description: 'It did not take place: the run before was still going on.' },
  },
})

@ObjectType('JobRun', { implements: NodeType, description: 'One run of a background job.' })
export class JobRunType implements NodeType {
  constructor(readonly run: JobRun) {}

  @Field(() => ID, { description: 'The global id, run_….' })
  get id(): string {
    return encodeId('jobRun', this.run.id)
  }

  @Field(() => DateTimeScalar, { description: 'When it began.' })
  get startedAt(): Date {
    return this.run.startedAt
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ended; null while it is going on.' })
  get finishedAt(): Date | null {
    return this.run.finishedAt
  }

  @Field(() => RegionEnum, {
    nullable: true,
    description: 'The region it was for; null for all, or where the job has none.',
  })
  get region(): Region | null {
    return this.run.region
  }

  @Field(() => JobOutcomeEnum, { description: 'What became of it.' })
  get outcome(): JobOutcome {
    return this.run.outcome
  }

  @Field(() => SafeIntScalar, { description: 'How many things it did; kept up to date while it goes on.' })
  get processed(): number {
    return this.run.processed
  }

  @Field(() => String, {
    nullable: true,
    description:
      'Why it failed or was skipped, in a few fixed words: timed out, stopped, holder lost, lease lost, still running, regions failed, database …, object …, a code of extensions.code, failed.',
  })
  get error(): string | null {
    return this.run.error
  }
}

@ObjectType('Job', { description: 'Something done again and again in the background, by one process at a time.' })
export class JobType {
  constructor(readonly scheduled: ScheduledJob) {}

  @Field(() => String, { description: 'Its name.' })
  get name(): string {
    return this.scheduled.job.name
  }

  @Field(() => String, { description: 'When, in UTC: a pattern of cron.' })
  get schedule(): string {
    return this.scheduled.schedule.pattern
  }

  @Field(() => Boolean, { description: 'Each region has runs of its own.' })
  get perRegion(): boolean {
    return this.scheduled.job.perRegion
  }

  @Field(() => String, { description: 'What it does.' })
  get description(): string {
    return this.scheduled.job.description
  }
}

@InputType('RunJobInput', { description: 'Which job to run, and where.' })
export class RunJobInputType {
  @Field(() => String, { description: 'The name of the job.' })
  name!: string

  @Field(() => RegionEnum, {
    nullable: true,
    description: 'One region only; all where it is left out. For jobs that have runs per region.',
  })
  region?: Region | null
}

@ObjectType('RunJobPayload', { simpleResolvers: true, description: 'A run that was begun.' })
export class RunJobPayloadType {
  @Field(() => JobRunType, {
    description: 'The run: how it ended, or RUNNING where that takes more than five seconds; ask node for it later.',
  })
  run!: JobRunType
}
