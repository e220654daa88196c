import { Field, ID, InputType } from 'type-graphql'
import { DateTimeScalar } from '../graphql/scalars.js'
import type { EventFilterInput } from './event-filter.js'

@InputType('EventFilter', {
  description: 'All given fields must match. Text matches are exact; actorEmail ignores case.',
})
export class EventFilterType implements EventFilterInput {
  @Field(() => DateTimeScalar, { nullable: true, description: 'Earliest occurredAt. Inclusive.' })
  from?: Date | null

  @Field(() => DateTimeScalar, { nullable: true, description: 'Latest occurredAt. Exclusive.' })
  to?: Date | null

  @Field(() => [String], { nullable: true, description: 'Any of these actions; 1 to 50.' })
  actions?: string[] | null

  @Field(() => [String], { nullable: true, description: 'Any of these categories; 1 to 50.' })
  categories?: string[] | null

  @Field(() => String, { nullable: true, description: 'The id of the actor.' })
  actorId?: string | null

  @Field(() => String, { nullable: true, description: 'The e-mail address of the actor, in any case.' })
  actorEmail?: string | null

  @Field(() => String, { nullable: true, description: 'The kind of target.' })
  targetType?: string | null

  @Field(() => String, { nullable: true, description: 'The id of the target.' })
  targetId?: string | null

  @Field(() => ID, { nullable: true, description: 'One workspace only.' })
  workspaceId?: string | null

  @Field(() => ID, { nullable: true, description: 'One project only.' })
  projectId?: string | null

  @Field(() => String, { nullable: true, description: 'The trace id.' })
  traceId?: string | null

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description:
      'Also events past their retention, in warm archive objects too. A page that reaches into a cold one is refused with RESTORE_REQUIRED, naming the objects.',
  })
  includeArchived?: boolean | null
}
