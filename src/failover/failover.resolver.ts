import type { GraphQLResolveInfo } from 'graphql'
import { Arg, Args, Ctx, Info, Mutation, Query, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { PageArgs, requestedPage } from '../graphql/page-args.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { decodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { type DeadLetterDeps, listDeadLetters, retryDeadLetter } from './dead-letters.js'
import { endFailover, type FailoverDeps, triggerFailover } from './fail-over.js'
import {
  DeadLetterConnectionType,
  DeadLetterType,
  EndFailoverInputType,
  RegionHealthPayloadType,
  RegionHealthType,
  RetryDeadLetterInputType,
  RetryDeadLetterPayloadType,
  TriggerFailoverInputType,
} from './failover.graphql.js'
import { listRegionHealth } from './region-status.js'

/** What the API of regions that fail needs. */
export type FailoverApi = FailoverDeps & DeadLetterDeps

@Resolver()
export class FailoverResolver {
  constructor(private readonly deps: FailoverApi) {}

  @Query(() => [RegionHealthType], {
    description: 'Every configured region: health, latency, pending writes, replication backlog. Staff only.',
  })
  regionHealth(@Ctx() { viewer }: GraphqlContext): Promise<RegionHealthType[]> {
    return listRegionHealth(this.deps, viewer)
  }

  @Query(() => DeadLetterConnectionType, {
    description: 'Events that were accepted while their region was down and that it then would not take. Staff only.',
  })
  async deadLetters(
    @Arg('region', () => RegionEnum, { description: 'Of which region.' }) region: Region,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { viewer }: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<DeadLetterConnectionType> {
    const page = requestedPage(args, info)
    return new DeadLetterConnectionType(await listDeadLetters(this.deps, viewer, { region, page }))
  }

  @Mutation(() => RegionHealthPayloadType, {
    description: "Staff: send a region's writes to the pending queue and its reads to replicas until endFailover.",
  })
  async triggerFailover(
    @Arg('input', () => TriggerFailoverInputType, { description: 'Which, and why.' }) input: TriggerFailoverInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RegionHealthPayloadType> {
    return { regionHealth: await triggerFailover(this.deps, viewer, input) }
  }

  @Mutation(() => RegionHealthPayloadType, {
    description:
      'Staff: let a region be asked again. What waits for it is brought home first, then its writes go home again.',
  })
  async endFailover(
    @Arg('input', () => EndFailoverInputType, { description: 'Which, and why.' }) input: EndFailoverInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RegionHealthPayloadType> {
    return { regionHealth: await endFailover(this.deps, viewer, input) }
  }

  @Mutation(() => RetryDeadLetterPayloadType, { description: 'Staff: try once more to record a dead letter.' })
  async retryDeadLetter(
    @Arg('input', () => RetryDeadLetterInputType, { description: 'Which.' }) input: RetryDeadLetterInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<RetryDeadLetterPayloadType> {
    const { uuid } = decodeRegionalId('event', input.eventId, 'input.eventId')
    const letter = await retryDeadLetter(this.deps, viewer, uuid)
    return { recorded: letter === null, deadLetter: letter === null ? null : new DeadLetterType(letter) }
  }
}
