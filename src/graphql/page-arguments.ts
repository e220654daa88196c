import type { GraphQLResolveInfo } from 'graphql'
import { badInput } from '../kernel/domain-error.js'

/** The largest page of any list. */
export const PAGE_SIZE_MAX = 500
export const PAGE_SIZE_DEFAULT = 50

/** The four arguments of every list, as they came. */
export interface PageArguments {
  readonly first: number | null
  readonly after: string | null
  readonly last: number | null
  readonly before: string | null
}

/** A page to read: `size` items after or before a cursor, or from an end of the list. */
export interface PageRequest {
  readonly direction: 'forward' | 'backward'
  readonly size: number
  /** Null: from the first item forward, or from the last backward. */
  readonly cursor: string | null
  /** The argument the cursor came in, for naming it in an error. */
  readonly cursorField: 'after' | 'before'
}

/** True where the caller wrote the argument: a default looks the same afterwards. */
export function isGiven(info: GraphQLResolveInfo, argument: string): boolean {
  const node = info.fieldNodes[0]?.arguments?.find(({ name }) => name.value === argument)
  if (node === undefined) return false
  return node.value.kind !== 'Variable' || Object.hasOwn(info.variableValues, node.value.name.value)
}

/**
 * What page is asked for. `first` with `after` goes forward, `last` with `before` backward; `firstGiven` tells a
 * written `first` from its default. `BAD_USER_INPUT` for a mixture, or a size outside 1 to {@link PAGE_SIZE_MAX}.
 */
export function pageRequest(args: PageArguments, firstGiven: boolean): PageRequest {
  const { after, last, before } = args
  const backward = last !== null
  if (backward && firstGiven && args.first !== null) throw badInput('last', 'can not go together with first.')
  if (backward && after !== null) throw badInput('after', 'goes with first; last goes with before.')
  if (!backward && before !== null) throw badInput('before', 'goes with last; first goes with after.')
  const size = last ?? args.first ?? PAGE_SIZE_DEFAULT
  if (size < 1 || size > PAGE_SIZE_MAX)
    throw badInput(backward ? 'last' : 'first', `must be from 1 to ${PAGE_SIZE_MAX}.`)
  return backward
    ? { direction: 'backward', size, cursor: before, cursorField: 'before' }
    : { direction: 'forward', size, cursor: after, cursorField: 'after' }
}

/**
 * A page out of what was found in its direction, of which one more than its size was asked for: the items in the list's
 * order. On the side where the cursor is there is at least the item it was made for.
 */
export function pageOf<T>(
  found: readonly T[],
  { direction, size, cursor }: PageRequest,
): { readonly items: readonly T[]; readonly hasNextPage: boolean; readonly hasPreviousPage: boolean } {
  const more = found.length > size
  const items = found.slice(0, size)
  return direction === 'forward'
    ? { items, hasNextPage: more, hasPreviousPage: cursor !== null }
    : { items: items.toReversed(), hasNextPage: cursor !== null, hasPreviousPage: more }
}
