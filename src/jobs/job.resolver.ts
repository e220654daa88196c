import { Arg, Ctx, FieldResolver, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { type GraphqlContext, oncePerRequest } from '../graphql/context.js'
import { JobRunType, JobType, RunJobInputType, RunJobPayloadType } from './job.graphql.js'
import { JOB_RUNS_DEFAULT, listJobRuns, listJobs } from './list-jobs.js'
import { runJob, type RunJobDeps } from './run-job.js'

@Resolver(() => JobType)
export class JobResolver {
  readonly #runLists = {}

  constructor(private readonly deps: RunJobDeps) {}

  @Query(() => [JobType], { description: 'Background jobs: schedule, last runs, outcome. Staff only.' })
  jobs(@Ctx() { viewer }: GraphqlContext): JobType[] {
    return listJobs(this.deps, viewer).map((scheduled) => new JobType(scheduled))
  }

  @FieldResolver(() => [JobRunType], { description: 'Its newest runs, newest first.' })
  async runs(
    @Root() { scheduled }: JobType,
    @Arg('first', () => Int, { nullable: true, defaultValue: JOB_RUNS_DEFAULT, description: 'How many, 1 to 100.' })
    firstOrNull: number | null,
    @Ctx() context: GraphqlContext,
  ): Promise<JobRunType[]> {
    const first = firstOrNull ?? JOB_RUNS_DEFAULT
    // All jobs' at once: they are asked for together.
    const lists = oncePerRequest(context, this.#runLists, () => new Map<number, ReturnType<typeof listJobRuns>>())
    const list = lists.get(first) ?? listJobRuns(this.deps, [...this.deps.scheduler.jobs.keys()], first)
    lists.set(first, list)
    const runs = (await list).get(scheduled.job.name) ?? []
    return runs.map((run) => new JobRunType(run))
  }

  @Mutation(() => RunJobPayloadType, { description: 'Staff: run a background job now, for one region or all.' })
  async runJob(
    @Arg('input', () => RunJobInputType, { description: 'Which job, and where.' }) input: RunJobInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RunJobPayloadType> {
    const { name, region = null } = input
    return { run: new JobRunType(await runJob(this.deps, viewer, { name, region })) }
  }
}
