import { Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql'
import { DateTimeScalar, JsonObjectScalar, JsonScalar, SafeIntScalar, Sha256Scalar } from '../graphql/scalars.js'
import type { JsonObject, JsonValue } from '../kernel/canonical-json.js'
import { encodeRegionalId } from '../kernel/ids.js'
import type { AuditEvent } from './audit-event.js'
import { AuditEventType } from './audit-event.graphql.js'
import type { ActorInput, ChangeInput, IngestInput, TargetInput } from './ingest-input.js'
import type { Receipt } from './receipt.js'

@InputType('ActorInput', { description: 'Who did it. Sealed at rest; it can be erased.' })
export class ActorInputType implements ActorInput {
  @Field(() => String, { nullable: true, description: "The actor's id in your system; up to 255 characters." })
  id?: string | null

  @Field(() => String, { nullable: true, description: "The actor's e-mail address." })
  email?: string | null

  @Field(() => String, { nullable: true, description: "The actor's name." })
  name?: string | null
}

@InputType('TargetInput', { description: 'What it was done to.' })
export class TargetInputType implements TargetInput {
  @Field(() => String, {
    nullable: true,
    description: "The target's id in your system; up to 255 characters. Sealed at rest.",
  })
  id?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'What kind of thing it is; up to 128 characters. It stays for ever, so it must not name a person.',
  })
  type?: string | null
}

@InputType('ChangeInput', { description: 'One thing that changed. Sealed at rest.' })
export class ChangeInputType implements ChangeInput {
  @Field(() => String, { description: 'What was changed.' })
  field!: string

  @Field(() => JsonScalar, { nullable: true, description: 'The value before.' })
  old?: JsonValue

  @Field(() => JsonScalar, { nullable: true, description: 'The value after.' })
  new?: JsonValue
}

@InputType('IngestEventInput', { description: 'One event to record.' })
export class IngestEventInputType implements IngestInput {
  @Field(() => String, {
    description:
      'What was done; 1 to 128 printable characters without @. It stays for ever, so it must not name a person.',
  })
  action!: string

  @Field(() => String, { description: 'What kind of event it is; the rules of action apply. "system" is ours.' })
  category!: string

  @Field(() => ActorInputType, { nullable: true, description: 'Who did it.' })
  actor?: ActorInputType | null

  @Field(() => TargetInputType, { nullable: true, description: 'What it was done to.' })
  target?: TargetInputType | null

  @Field(() => ID, { nullable: true, description: 'A project of the workspace.' })
  projectId?: string | null

  @Field(() => JsonObjectScalar, {
    nullable: true,
    description: 'Anything about the event. Payload, metadata and changes together: at most 64 KiB, 32 levels deep.',
  })
  payload?: JsonObject | null

  @Field(() => JsonObjectScalar, {
    nullable: true,
    description: 'Anything about how it came here: address, user agent, version.',
  })
  metadata?: JsonObject | null

  @Field(() => [ChangeInputType], { nullable: true, description: 'What changed, old and new.' })
  changes?: ChangeInputType[] | null

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When it happened; at most 5 minutes ahead. Default: now.',
  })
  occurredAt?: Date | null

  @Field(() => String, {
    nullable: true,
    description: 'The trace it belongs to; up to 255 characters. Sealed at rest.',
  })
  traceId?: string | null

  @Field(() => String, {
    nullable: true,
    description:
      'Up to 255 characters. Same key and same content within 24 h at least: the first event again, replayed = true. Same key, other content: IDEMPOTENCY_CONFLICT. Content is the input before defaults; its fingerprint is an HMAC; key and fingerprint are dropped after 24 to 48 h, or at erasure. The key must not carry personal data.',
  })
  idempotencyKey?: string | null
}

@InputType('IngestEventsInput', { description: 'Events to record together.' })
export class IngestEventsInputType {
  @Field(() => [IngestEventInputType], { description: '1 to 1000 events, recorded in this order, all or none.' })
  events!: IngestEventInputType[]
}

export const IngestStatusEnum = { RECORDED: 'RECORDED', QUEUED: 'QUEUED' } as const
registerEnumType(IngestStatusEnum, {
  name: 'IngestStatus',
  description: 'What became of an event.',
  valuesConfig: {
    RECORDED: { description: 'Committed in its region.' },
    QUEUED: { description: 'Durably kept, and recorded in its region when that recovers.' },
  },
})

// Simple resolvers: the fields are read as they are, a thousand times for one request.
@ObjectType('IngestReceipt', { description: 'What became of one event.', simpleResolvers: true })
export class IngestReceiptType {
  constructor(readonly receipt: Receipt) {}

  @Field(() => ID, { description: 'The id of the event; of the first one where this was a repeat.' })
  get eventId(): string {
    return encodeRegionalId('event', this.receipt.region, this.receipt.eventId)
  }

  @Field(() => IngestStatusEnum, { description: 'What became of it.' })
  get status(): Receipt['status'] {
    return this.receipt.status
  }

  @Field(() => Boolean, { description: 'True where its idempotency key named an event that was recorded before.' })
  get replayed(): boolean {
    return this.receipt.replayed
  }

  @Field(() => SafeIntScalar, {
    nullable: true,
    description: "Its position in its workspace's chain; null while it is queued.",
  })
  get sequence(): number | null {
    return this.receipt.sequence
  }

  @Field(() => Sha256Scalar, { nullable: true, description: 'Its link in the chain; null while it is queued.' })
  get hash(): Buffer | null {
    return this.receipt.hash
  }
}

@ObjectType('IngestEventPayload', { description: 'The answer to one recorded event.' })
export class IngestEventPayloadType {
  constructor(
    readonly recorded: Receipt,
    readonly load: () => Promise<AuditEvent | null>,
  ) {}

  @Field(() => IngestReceiptType, { description: 'What became of it.' })
  get receipt(): IngestReceiptType {
    return new IngestReceiptType(this.recorded)
  }

  @Field(() => AuditEventType, {
    nullable: true,
    description: 'The event as it was recorded; null while the region is down and the event waits in the queue.',
  })
  async event(): Promise<AuditEventType | null> {
    const event = await this.load()
    return event === null ? null : new AuditEventType(event)
  }
}

@ObjectType('IngestEventsPayload', { description: 'The answer to events recorded together.' })
export class IngestEventsPayloadType {
  constructor(readonly recorded: readonly Receipt[]) {}

  @Field(() => [IngestReceiptType], { description: 'What became of each, in the order in which they came.' })
  get receipts(): IngestReceiptType[] {
    return this.recorded.map((receipt) => new IngestReceiptType(receipt))
  }
}
