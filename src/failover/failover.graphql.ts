import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql'
import { pageInfoOf, PageInfoType } from '../graphql/page-info.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { DateTimeScalar, SafeIntScalar } from '../graphql/scalars.js'
import { encodeId, encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { DeadLetter } from './dead-letter.store.js'
import type { DeadLetterPage } from './dead-letters.js'
import type { DeadLetterReason } from './pending-write.js'
import type { RegionStatus } from './region-status.js'

export const RegionStateEnum = {
  HEALTHY: 'HEALTHY',
  UNHEALTHY: 'UNHEALTHY',
  FAILED_OVER: 'FAILED_OVER',
} as const satisfies Record<RegionStatus['state'], RegionStatus['state']>
registerEnumType(RegionStateEnum, {
  name: 'RegionState',
  description: 'How a region is.',
  valuesConfig: {
    HEALTHY: { description: 'It answers and takes writes.' },
    UNHEALTHY: { description: 'It does not answer, or takes no writes. Its events are queued until it does.' },
    FAILED_OVER: { description: 'It is not asked at all: its events are queued until endFailover.' },
  },
})

@ObjectType('RegionHealth', { simpleResolvers: true, description: 'How a region is, and what waits for it.' })
export class RegionHealthType implements RegionStatus {
  @Field(() => RegionEnum, { description: 'The region.' })
  region!: Region

  @Field(() => RegionStateEnum, { description: 'How it is.' })
  state!: RegionStatus['state']

  @Field(() => Boolean, { description: 'It is HEALTHY.' })
  healthy!: boolean

  @Field(() => Float, {
    nullable: true,
    description: 'How long it took to keep something at the last check, in milliseconds; null where it did not.',
  })
  latencyMs!: number | null

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When it was last checked; null: not by the health job.',
  })
  checkedAt!: Date | null

  @Field(() => String, {
    nullable: true,
    description:
      'What is the matter, in a fixed word: timeout, unreachable, starting, overloaded, read_only, error, failed_over.',
  })
  reason!: string | null

  @Field(() => SafeIntScalar, { description: 'Events that wait to be recorded in it.' })
  pendingWrites!: number

  @Field(() => SafeIntScalar, { description: 'Events that it would not take; see deadLetters.' })
  deadLetters!: number

  @Field(() => SafeIntScalar, { description: 'Events that its replicas do not have yet.' })
  replicationBacklog!: number

  @Field(() => DateTimeScalar, { nullable: true, description: 'Since when the first of them waits; null: none does.' })
  oldestPendingWriteAt!: Date | null
}

@InputType('TriggerFailoverInput', { description: 'A region that is not to be asked any more.' })
export class TriggerFailoverInputType {
  @Field(() => RegionEnum, { description: 'Which.' })
  region!: Region

  @Field(() => String, { description: 'Why; kept in the admin log for ever, 1 to 500 characters without addresses.' })
  reason!: string
}

@InputType('EndFailoverInput', { description: 'A region that may be asked again.' })
export class EndFailoverInputType {
  @Field(() => RegionEnum, { description: 'Which.' })
  region!: Region

  @Field(() => String, { description: 'Why; kept in the admin log for ever, 1 to 500 characters without addresses.' })
  reason!: string
}

@ObjectType('RegionHealthPayload', { simpleResolvers: true, description: 'The region, as it is now.' })
export class RegionHealthPayloadType {
  @Field(() => RegionHealthType, { description: 'The region.' })
  regionHealth!: RegionHealthType
}

export const DeadLetterReasonEnum = {
  IDEMPOTENCY_CONFLICT: 'idempotency_conflict',
  REFUSED: 'refused',
  KEY_MISSING: 'key_missing',
  UNREADABLE: 'unreadable',
} as const satisfies Record<string, DeadLetterReason>
registerEnumType(DeadLetterReasonEnum, {
  name: 'DeadLetterReason',
  description: 'Why an event could not be recorded.',
  valuesConfig: {
    IDEMPOTENCY_CONFLICT: { description: 'Its idempotency key stands for other content in its region.' },
    REFUSED: { description: 'The database of its region refused it; the log of the service says why.' },
    KEY_MISSING: { description: "The key that opens it is not in the region's key vault." },
    UNREADABLE: { description: 'It is not what was queued: it does not open with its key.' },
  },
})

@ObjectType('DeadLetter', {
  description:
    'An event that was accepted while its region was down, and that the region then would not take. What it says is not shown.',
})
export class DeadLetterType {
  constructor(readonly letter: DeadLetter) {}

  @Field(() => ID, { description: 'The id that its sender was given.' })
  get eventId(): string {
    return encodeRegionalId('event', this.letter.region, this.letter.eventId)
  }

  @Field(() => RegionEnum, { description: 'Its home region.' })
  get region(): Region {
    return this.letter.region
  }

  @Field(() => ID, { description: 'The company it is of.' })
  get companyId(): string {
    return encodeId('company', this.letter.companyId)
  }

  @Field(() => ID, { description: 'The workspace it was to be recorded in.' })
  get workspaceId(): string {
    return encodeId('workspace', this.letter.workspaceId)
  }

  @Field(() => DateTimeScalar, { description: 'When the service accepted it.' })
  get receivedAt(): Date {
    return this.letter.receivedAt
  }

  @Field(() => DateTimeScalar, { description: 'When it was put into the queue.' })
  get queuedAt(): Date {
    return this.letter.queuedAt
  }

  @Field(() => DateTimeScalar, { description: 'When it was set aside.' })
  get failedAt(): Date {
    return this.letter.failedAt
  }

  @Field(() => Int, { description: 'How often it was tried.' })
  get attempts(): number {
    return this.letter.attempts
  }

  @Field(() => DeadLetterReasonEnum, { description: 'Why it is not recorded.' })
  get reason(): DeadLetterReason {
    return this.letter.reason
  }
}

@ObjectType('DeadLetterEdge', { description: 'A dead letter and its place in the list.' })
export class DeadLetterEdgeType {
  constructor(
    readonly letter: DeadLetter,
    readonly page: DeadLetterPage,
  ) {}

  @Field(() => String, { description: 'Names this place, for after and before.' })
  get cursor(): string {
    return this.page.cursorOf(this.letter)
  }

  @Field(() => DeadLetterType, { description: 'The dead letter.' })
  get node(): DeadLetterType {
    return new DeadLetterType(this.letter)
  }
}

@ObjectType('DeadLetterConnection', { description: 'A page of dead letters, newest first.' })
export class DeadLetterConnectionType {
  constructor(readonly page: DeadLetterPage) {}

  @Field(() => [DeadLetterEdgeType], { description: 'The dead letters of the page with their cursors.' })
  get edges(): DeadLetterEdgeType[] {
    return this.page.letters.map((letter) => new DeadLetterEdgeType(letter, this.page))
  }

  @Field(() => [DeadLetterType], { description: 'The dead letters of the page.' })
  get nodes(): DeadLetterType[] {
    return this.page.letters.map((letter) => new DeadLetterType(letter))
  }

  @Field(() => PageInfoType, { description: 'Where the page lies in the list.' })
  get pageInfo(): PageInfoType {
    return pageInfoOf(this.page.letters, this.page)
  }

  @Field(() => SafeIntScalar, { description: 'How many there are.' })
  totalCount(): Promise<number> {
    return this.page.total()
  }
}

@InputType('RetryDeadLetterInput', { description: 'An event to be tried once more.' })
export class RetryDeadLetterInputType {
  @Field(() => ID, { description: 'Its id.' })
  eventId!: string
}

@ObjectType('RetryDeadLetterPayload', { simpleResolvers: true, description: 'What came of it.' })
export class RetryDeadLetterPayloadType {
  @Field(() => Boolean, { description: 'It is recorded now.' })
  recorded!: boolean

  @Field(() => DeadLetterType, { nullable: true, description: 'The dead letter, where it still is one.' })
  deadLetter!: DeadLetterType | null
}
