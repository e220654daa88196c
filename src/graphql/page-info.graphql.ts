import { Field, ObjectType } from 'type-graphql'

@ObjectType('PageInfo', {
  simpleResolvers: true,
  description: 'Where a page lies in its list, as the Relay connection specification has it.',
})
export class PageInfoType {
  @Field(() => Boolean, { description: 'There are items after this page.' })
  hasNextPage!: boolean

  @Field(() => Boolean, { description: 'There are items before this page.' })
  hasPreviousPage!: boolean

  @Field(() => String, { nullable: true, description: 'The cursor of the first item; null on an empty page.' })
  startCursor!: string | null

  @Field(() => String, { nullable: true, description: 'The cursor of the last item; null on an empty page.' })
  endCursor!: string | null
}

/** Where a page of these items lies. Cursors are made only where asked for. */
export function pageInfoOf<T>(
  items: readonly T[],
  page: {
    readonly hasNextPage: boolean
    readonly hasPreviousPage: boolean
    readonly cursorOf: (item: T) => string
  },
): PageInfoType {
  const { hasNextPage, hasPreviousPage, cursorOf } = page
  const first = items[0]
  const last = items.at(-1)
  return {
    hasNextPage,
    hasPreviousPage,
    get startCursor() {
      return first === undefined ? null : cursorOf(first)
    },
    get endCursor() {
      return last === undefined ? null : cursorOf(last)
    },
  }
}
