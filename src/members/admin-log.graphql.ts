import { Field, ID, ObjectType } from 'type-graphql'
import type { AdminEvent } from '../admin-log/admin-entry.js'
import { pageInfoOf, PageInfoType } from '../graphql/page-info.graphql.js'
import { DateTimeScalar, JsonObjectScalar, SafeIntScalar, Sha256Scalar } from '../graphql/scalars.js'
import type { JsonObject } from '../kernel/canonical-json.js'
import { encodeId } from '../kernel/ids.js'
import type { AdminLogPage } from './list-admin-log.js'

@ObjectType('AdminEvent', {
  description:
    'One thing that staff or an administrator did, in a hash chain of the ledger format HL1, region CONTROL.',
})
export class AdminEventType {
  constructor(readonly event: AdminEvent) {}

  @Field(() => ID, { description: 'The global id, adm_….' })
  get id(): string {
    return encodeId('adminEvent', this.event.id)
  }

  @Field(() => SafeIntScalar, { description: 'Position in its chain, from 1 without gaps.' })
  get sequence(): number {
    return this.event.sequence
  }

  @Field(() => DateTimeScalar, { description: 'When it was done.' })
  get occurredAt(): Date {
    return this.event.occurredAt
  }

  @Field(() => String, { description: 'What was done, as in api_key.revoked.' })
  get action(): string {
    return this.event.action
  }

  @Field(() => String, { description: 'What area it belongs to: session, member, api_key and so on.' })
  get category(): string {
    return this.event.category
  }

  @Field(() => ID, {
    nullable: true,
    description: 'The account that did it; null: the service itself, or somebody who did not get in.',
  })
  get actorId(): string | null {
    return this.event.actorId
  }

  @Field(() => String, { nullable: true, description: 'The type of what it was done to.' })
  get targetType(): string | null {
    return this.event.target?.type ?? null
  }

  @Field(() => ID, { nullable: true, description: 'What it was done to.' })
  get targetId(): string | null {
    return this.event.target?.id ?? null
  }

  @Field(() => JsonObjectScalar, { description: 'The details. Never a secret.' })
  get payload(): JsonObject {
    return this.event.payload
  }

  @Field(() => Sha256Scalar, { description: 'Its hash, which the next one contains.' })
  get hash(): Buffer {
    return this.event.hash
  }

  @Field(() => Sha256Scalar, { nullable: true, description: 'The hash before it; null for the first.' })
  get prevHash(): Buffer | null {
    return this.event.prevHash
  }
}

@ObjectType('AdminEventEdge', { description: 'An entry of the admin log and its place in the list.' })
export class AdminEventEdgeType {
  constructor(
    readonly event: AdminEvent,
    readonly page: AdminLogPage,
  ) {}

  @Field(() => String, { description: 'Names this place, for after and before.' })
  get cursor(): string {
    return this.page.cursorOf(this.event)
  }

  @Field(() => AdminEventType, { description: 'The entry.' })
  get node(): AdminEventType {
    return new AdminEventType(this.event)
  }
}

@ObjectType('AdminEventConnection', { description: 'A page of the admin log, newest first.' })
export class AdminEventConnectionType {
  constructor(readonly page: AdminLogPage) {}

  @Field(() => [AdminEventEdgeType], { description: 'The entries of the page with their cursors.' })
  get edges(): AdminEventEdgeType[] {
    return this.page.events.map((event) => new AdminEventEdgeType(event, this.page))
  }

  @Field(() => [AdminEventType], { description: 'The entries of the page.' })
  get nodes(): AdminEventType[] {
    return this.page.events.map((event) => new AdminEventType(event))
  }

  @Field(() => PageInfoType, { description: 'Where the page lies in the list.' })
  get pageInfo(): PageInfoType {
    return pageInfoOf(this.page.events, this.page)
  }

  @Field(() => SafeIntScalar, { description: 'How many entries the chain has.' })
  totalCount(): Promise<number> {
    return this.page.total()
  }
}
