import { Field, Float, Int, ObjectType, registerEnumType } from 'type-graphql'
import { pageInfoOf, PageInfoType } from '../graphql/page-info.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { SafeIntScalar } from '../graphql/scalars.js'
import type { Region } from '../kernel/region.js'
import type { AuditEvent } from './audit-event.js'
import { AuditEventType } from './audit-event.graphql.js'
import type { EventPage, RegionReport } from './event-page.js'

export const RegionFetchStatusEnum = {
  OK: 'OK',
  SERVED_BY_REPLICA: 'SERVED_BY_REPLICA',
  UNAVAILABLE: 'UNAVAILABLE',
} as const
registerEnumType(RegionFetchStatusEnum, {
  name: 'RegionFetchStatus',
  description: "How a region's events got into a page.",
  valuesConfig: {
    OK: { description: 'From its primary database.' },
    SERVED_BY_REPLICA: {
      description: 'From a copy, because the primary did not answer: the newest events may not be there yet.',
    },
    UNAVAILABLE: { description: 'Not at all: its events are missing.' },
  },
})

@ObjectType('RegionFetch', { description: 'How one region answered for one page.' })
export class RegionFetchType {
  constructor(private readonly report: RegionReport) {}

  @Field(() => RegionEnum, { description: 'The region whose events were asked for.' })
  get region(): Region {
    return this.report.region
  }

  @Field(() => RegionFetchStatusEnum, { description: 'Whether and from where it answered.' })
  get status(): RegionReport['status'] {
    return this.report.status
  }

  @Field(() => RegionEnum, {
    nullable: true,
    description: 'The region that really served: another one where a replica stood in. Null where none did.',
  })
  get servedBy(): Region | null {
    return this.report.servedBy
  }

  @Field(() => Int, { description: 'How many events of this page come from it.' })
  get eventCount(): number {
    return this.report.eventCount
  }

  @Field(() => Float, { description: 'How long it took to answer, or to be given up, in milliseconds.' })
  get latencyMs(): number {
    return this.report.latencyMs
  }

  @Field(() => String, {
    nullable: true,
    description:
      'A stable word for what went wrong: timeout, unreachable, starting, overloaded, failed_over, erasure_pending (it was down when a person was erased, and follows before it is read), not_configured or error. Null where all went well.',
  })
  get reason(): string | null {
    return this.report.reason
  }

  @Field(() => Boolean, {
    description: 'Whether events were accepted for it that wait to be recorded in it, and are in no page yet.',
  })
  pendingWrites(): Promise<boolean> {
    return this.report.hasWaiting()
  }

  @Field(() => SafeIntScalar, {
    nullable: true,
    description:
      'How many signed events the replica in another region that served did not have yet; null where none served, or where that is not known now.',
  })
  async replicationLagEvents(): Promise<number | null> {
    return (await this.report.lag())?.events ?? null
  }

  @Field(() => Float, {
    nullable: true,
    description:
      'How long ago that replica last had all events, in seconds; 0 where it has them. Null where none served, or where that is not known now.',
  })
  async replicationLagSeconds(): Promise<number | null> {
    return (await this.report.lag())?.seconds ?? null
  }
}

@ObjectType('AuditEventEdge', { simpleResolvers: true, description: 'An event and its place in a list.' })
export class AuditEventEdgeType {
  constructor(
    readonly event: AuditEvent,
    readonly page: EventPage,
  ) {}

  @Field(() => String, {
    description: 'Names this place, for after and before. Good for this list with this filter only.',
  })
  get cursor(): string {
    return this.page.cursorOf(this.event)
  }

  @Field(() => AuditEventType, { description: 'The event.' })
  get node(): AuditEventType {
    return new AuditEventType(this.event)
  }
}

/** The fields that every page of events has. */
@ObjectType({ description: 'A page of events.' })
abstract class EventPageType {
  constructor(readonly page: EventPage) {}

  @Field(() => [AuditEventEdgeType], { description: 'The events of the page with their cursors.' })
  get edges(): AuditEventEdgeType[] {
    return this.page.events.map((event) => new AuditEventEdgeType(event, this.page))
  }

  @Field(() => [AuditEventType], { description: 'The events of the page.' })
  get nodes(): AuditEventType[] {
    return this.page.events.map((event) => new AuditEventType(event))
  }

  @Field(() => PageInfoType, { description: 'Where the page lies in the list.' })
  get pageInfo(): PageInfoType {
    return pageInfoOf(this.page.events, this.page)
  }

  @Field(() => SafeIntScalar, {
    nullable: true,
    description:
      "Counted only when asked for, exactly up to 10 000; beyond that 10 000, and totalCountIsExact is false. Null where it can't be counted now. What was recorded in the last second may not be counted yet.",
  })
  async totalCount(): Promise<number | null> {
    return (await this.page.total)?.count ?? null
  }

  @Field(() => Boolean, {
    nullable: true,
    description: 'False where there are more than totalCount; null where totalCount is null.',
  })
  async totalCountIsExact(): Promise<boolean | null> {
    return (await this.page.total)?.isExact ?? null
  }
}

@ObjectType('AuditEventConnection', { description: 'A page of events that live in one region.' })
export class AuditEventConnectionType extends EventPageType {
  @Field(() => RegionFetchType, { description: 'How the region answered for this page.' })
  get region(): RegionFetchType {
    return new RegionFetchType(this.page.regions[0]!)
  }
}

/** Whether a page has all events of a region that it should have. */
async function isWhole({ region, status, servedBy, lag, hasWaiting }: RegionReport): Promise<boolean> {
  if (status === 'UNAVAILABLE') return false
  if (servedBy !== region && (await lag())?.events !== 0) return false
  return !(await hasWaiting())
}

@ObjectType('GlobalEventConnection', { description: 'A page of events merged from several regions.' })
export class GlobalEventConnectionType extends EventPageType {
  @Field(() => Boolean, {
    description:
      "False where some region's events are missing from this page, or may be: it did not answer, a replica that stood in is not known to have all of them, or some wait to be recorded in it.",
  })
  async complete(): Promise<boolean> {
    return (await Promise.all(this.page.regions.map(isWhole))).every(Boolean)
  }

  @Field(() => [RegionFetchType], { description: 'How each region answered for this page.' })
  get regions(): RegionFetchType[] {
    return this.page.regions.map((report) => new RegionFetchType(report))
  }
}
