import type { GraphQLResolveInfo } from 'graphql'
import { Arg, Ctx, Info, Mutation, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { textFaultsOf } from '../graphql/text-faults.js'
import type { IngestDeps } from './accept-events.js'
import type { EventReads } from './event-reads.js'
import { getRecordedEvent } from './get-event.js'
import { ingestEvent } from './ingest-event.js'
import { ingestEvents } from './ingest-events.js'
import {
  IngestEventInputType,
  IngestEventPayloadType,
  IngestEventsInputType,
  IngestEventsPayloadType,
} from './ingest.graphql.js'

@Resolver()
export class IngestResolver {
  constructor(
    private readonly ingest: IngestDeps,
    private readonly reads: EventReads,
  ) {}

  @Mutation(() => IngestEventPayloadType, {
    description: 'Records one event in the workspace of the calling workspace key.',
  })
  async ingestEvent(
    @Arg('input', () => IngestEventInputType, { description: 'The event.' }) input: IngestEventInputType,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<IngestEventPayloadType> {
    const faults = textFaultsOf(context, info, 'input')
    const receipt = await ingestEvent(this.ingest, context.viewer, input, this.ingest.clock, faults)
    return new IngestEventPayloadType(receipt, () => getRecordedEvent(this.reads, context.viewer, receipt))
  }

  @Mutation(() => IngestEventsPayloadType, { description: 'Records up to 1000 events in order, all or none.' })
  async ingestEvents(
    @Arg('input', () => IngestEventsInputType, { description: 'The events.' }) input: IngestEventsInputType,
    @Ctx() context: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<IngestEventsPayloadType> {
    const faults = textFaultsOf(context, info, 'input')
    const receipts = await ingestEvents(this.ingest, context.viewer, input.events, this.ingest.clock, faults)
    return new IngestEventsPayloadType(receipts)
  }
}
