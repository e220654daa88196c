import { Field, ID, ObjectType } from 'type-graphql'
import { NodeType } from '../graphql/node.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { DateTimeScalar, JsonScalar, SafeIntScalar, Sha256Scalar } from '../graphql/scalars.js'
import type { JsonValue } from '../kernel/canonical-json.js'
import { encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { AuditEvent } from './audit-event.js'

@ObjectType('Actor', { simpleResolvers: true, description: 'Who did it.' })
export class ActorType {
  @Field(() => String, { nullable: true, description: "The actor's id in the caller's system." })
  id!: string | null

  @Field(() => String, { nullable: true, description: "The actor's e-mail address." })
  email!: string | null

  @Field(() => String, { nullable: true, description: "The actor's name." })
  name!: string | null
}

@ObjectType('Target', { simpleResolvers: true, description: 'What it was done to.' })
export class TargetType {
  @Field(() => String, { nullable: true, description: "The target's id in the caller's system." })
  id!: string | null

  @Field(() => String, { nullable: true, description: 'What kind of thing the target is.' })
  type!: string | null
}

@ObjectType('Change', { simpleResolvers: true, description: 'One thing that the event changed.' })
export class ChangeType {
  @Field(() => String, { description: 'What was changed.' })
  field!: string

  @Field(() => JsonScalar, { nullable: true, description: 'The value before; null also where none was sent.' })
  old!: JsonValue | undefined

  @Field(() => JsonScalar, { nullable: true, description: 'The value after; null also where none was sent.' })
  new!: JsonValue | undefined
}

@ObjectType('AuditEvent', {
  simpleResolvers: true,
  implements: NodeType,
  description: 'One recorded event: it never changes, and its place in the chain of its workspace proves it.',
})
export class AuditEventType implements NodeType {
  constructor(readonly event: AuditEvent) {}

  @Field(() => ID, { description: 'The global id, evt_<region>_….' })
  get id(): string {
    return encodeRegionalId('event', this.event.region, this.event.id)
  }

  @Field(() => RegionEnum, { description: "The region whose database is the event's home." })
  get dataRegion(): Region {
    return this.event.region
  }

  @Field(() => RegionEnum, {
    description: 'The region whose database it was read from: another than dataRegion where a replica stood in for it.',
  })
  get servedBy(): Region {
    return this.event.servedBy
  }

  @Field(() => String, { description: 'What was done, such as invoice.paid.' })
  get action(): string {
    return this.event.action
  }

  @Field(() => String, { description: 'What kind of event it is, such as billing.' })
  get category(): string {
    return this.event.category
  }

  @Field(() => DateTimeScalar, { description: 'When it happened, as the caller said; else when it was received.' })
  get occurredAt(): Date {
    return this.event.occurredAt
  }

  @Field(() => DateTimeScalar, { description: 'When the service accepted it.' })
  get receivedAt(): Date {
    return this.event.receivedAt
  }

  @Field(() => SafeIntScalar, { description: "Position in its workspace's chain, from 1 without gaps." })
  get sequence(): number {
    return this.event.sequence
  }

  @Field(() => Sha256Scalar, { description: 'Its link in the chain: what the next event builds on.' })
  get hash(): Buffer {
    return this.event.hash
  }

  @Field(() => Sha256Scalar, {
    nullable: true,
    description: 'The hash of the event before it; null at the first of a chain.',
  })
  get prevHash(): Buffer | null {
    return this.event.prevHash
  }

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'Set once personal data in this event has been erased; what remains still verifies.',
  })
  get erasedAt(): Date | null {
    return this.event.erasedAt
  }
}
