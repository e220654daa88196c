import { ArgsType, Field, Int } from 'type-graphql'
import type { GraphQLResolveInfo } from 'graphql'
import { isGiven, PAGE_SIZE_DEFAULT, type PageRequest, pageRequest } from './page-arguments.js'

@ArgsType()
export class PageArgs {
  @Field(() => Int, {
    nullable: true,
    defaultValue: PAGE_SIZE_DEFAULT,
    description: 'How many items from the start of the list, or after the cursor; 1 to 500.',
  })
  first?: number | null

  @Field(() => String, { nullable: true, description: 'Goes with first: items after this cursor.' })
  after?: string | null

  @Field(() => Int, {
    nullable: true,
    description: 'How many items from the end of the list, or before the cursor; 1 to 500. Instead of first.',
  })
  last?: number | null

  @Field(() => String, { nullable: true, description: 'Goes with last: items before this cursor.' })
  before?: string | null
}

/** The page that a field was asked for. `BAD_USER_INPUT` as {@link pageRequest}. */
export const requestedPage = (args: PageArgs, info: GraphQLResolveInfo): PageRequest =>
  pageRequest(
    { first: args.first ?? null, after: args.after ?? null, last: args.last ?? null, before: args.before ?? null },
    isGiven(info, 'first'),
  )
